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
constexpr mode_t set_gid_mode = 02755;

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
    if (auto foreign = service::foreign_data(config))
        return Error(ErrorKind::Config, std::move(*foreign));
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
        RETURN_IF_ERROR(give(cat(config.text("command_directory"), '/', command), 0, gid, set_gid_mode));
    return Result<void>();
}

std::vector<config::Fault> check_set_gid_commands(const config::Config& config)
{
    std::vector<config::Fault> faults;
    const group* drop = ::getgrnam(config.text("setgid_group").c_str());
    if (::geteuid() != 0 || !drop) // check_accounts says that there is no such group
        return faults;
    const gid_t gid = drop->gr_gid;
    for (const char* command : set_gid_commands) {
        const std::string path = cat(config.text("command_directory"), '/', command);
        struct stat status;
        std::string what;
        if (::stat(path.c_str(), &status) != 0)
            what = Error::system(path, errno).text();
        else if (status.st_uid != 0 || status.st_gid != gid || (status.st_mode & 07777) != set_gid_mode)
            what = cat(path, ": expected owner root, group ", config.text("setgid_group"), " and mode 02755, "
                       "without which users cannot hand mail in or see the queue; "
                       "posthouse -c ", config.directory(), " set-permissions");
        if (!what.empty())
            faults.push_back({"", 0, "", std::move(what), true});
    }
    return faults;
}

} // namespace posthouse::tools
