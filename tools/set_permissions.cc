// Owners and modes: see set_permissions.h.
#include "tools/set_permissions.h"

#include "lib/base/cat.h"
#include "lib/service/directories.h"

#include <cerrno>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::tools {

namespace {

constexpr const char* set_gid_commands[] = {"postdrop", "postqueue"};

Result<void> give(const std::string& path, uid_t uid, gid_t gid, mode_t mode)
{
    if (::lchown(path.c_str(), uid, gid) != 0)
        return Error::system(cat("chown ", path), errno);
    if (::chmod(path.c_str(), mode) != 0)
        return Error::system(cat("chmod ", path), errno);
    return Result<void>();
}

} // namespace

Result<void> set_permissions(const config::Config& config)
{
    if (::geteuid() != 0)
        return Error(ErrorKind::Config, "set-permissions is for root; an instance of an ordinary user needs none");
    RETURN_IF_ERROR(service::make_directories(config));
    auto directories = service::directories(config);
    if (!directories)
        return std::move(directories.error());
    for (const service::Directory& directory : *directories)
        RETURN_IF_ERROR(give(directory.path, directory.uid, directory.gid, directory.mode));
    const group* drop = ::getgrnam(config.text("setgid_group").c_str());
    if (!drop)
        return Error(ErrorKind::Config, cat("setgid_group: unknown group ", config.text("setgid_group")));
    const gid_t gid = drop->gr_gid;
    for (const char* command : set_gid_commands)
        RETURN_IF_ERROR(give(cat(config.text("command_directory"), '/', command), 0, gid, 02755));
    return Result<void>();
}

} // namespace posthouse::tools
