// Dropping privileges: see privileges.h.
#include "lib/service/privileges.h"

#include "lib/base/cat.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace posthouse::service {

Result<Identity> find_mail_owner(const std::string& name)
{
    errno = 0;
    const passwd* entry = ::getpwnam(name.c_str());
    if (!entry)
        return Error(ErrorKind::Config, cat("unknown user ", name));
    if (entry->pw_uid == 0 || entry->pw_gid == 0)
        return Error(ErrorKind::Config, cat(name, " has the uid or gid of root"));
    Identity identity;
    identity.name = name;
    identity.uid = entry->pw_uid;
    identity.gid = entry->pw_gid;
    return identity;
}

Result<gid_t> find_group(const std::string& name)
{
    const group* entry = ::getgrnam(name.c_str());
    if (!entry)
        return Error(ErrorKind::Config, cat("unknown group ", name));
    if (entry->gr_gid == 0)
        return Error(ErrorKind::Config, cat(name, " is the group of root"));
    return entry->gr_gid;
}

Result<void> become(const Identity& identity)
{
    const gid_t groups[] = {identity.gid, identity.more.value_or(identity.gid)};
    if (::setgroups(identity.more ? 2 : 1, groups) != 0)
        return Error::system("setgroups", errno);
    if (::setresgid(identity.gid, identity.gid, identity.gid) != 0)
        return Error::system(cat("setgid ", identity.gid), errno);
    if (::setresuid(identity.uid, identity.uid, identity.uid) != 0)
        return Error::system(cat("setuid ", identity.uid), errno);
    if (::setuid(0) == 0)
        return Error(ErrorKind::Permanent, "root was not given up for good");
    return Result<void>();
}

Result<void> enter_root(const std::string& directory)
{
    if (::chroot(directory.c_str()) != 0)
        return Error::system(cat("chroot ", directory), errno);
    if (::chdir("/") != 0)
        return Error::system("chdir / in chroot", errno);
    return Result<void>();
}

void limit_process(size_t core_bytes, bool no_new_privileges)
{
    ::umask(077);
    rlimit files;
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &files);
    }
    const rlimit core = {core_bytes, core_bytes};
    ::setrlimit(RLIMIT_CORE, &core);
    if (no_new_privileges)
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#ifndef __SANITIZE_ADDRESS__ // its leak check traces the process
    if (core_bytes == 0)
        ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

bool keep_capabilities(uint32_t capabilities)
{
    if (::geteuid() != 0)
        return true;
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
    if (::syscall(SYS_capget, &header, sets) != 0)
        return false;
    const uint32_t kept = sets[0].permitted & capabilities;
    std::memset(sets, 0, sizeof sets);
    sets[0].effective = sets[0].permitted = kept;
    return ::syscall(SYS_capset, &header, sets) == 0;
}

int close_all_but(int fd)
{
    const int kept = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (kept > 3)
        ::close_range(3, static_cast<unsigned>(kept - 1), 0);
    ::close_range(static_cast<unsigned>(kept + 1), ~0U, 0);
    return kept;
}

size_t open_files_limit()
{
    rlimit files;
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0)
        return 1024;
    return static_cast<size_t>(files.rlim_cur);
}

} // namespace posthouse::service
