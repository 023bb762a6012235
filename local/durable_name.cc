// Syncing names: see durable_name.h.
#include "local/durable_name.h"

#include "lib/base/cat.h"
#include "lib/base/unique_fd.h"

#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::local {

namespace {

constexpr int64_t old_enough = 600; // seconds; file systems write out what is new within a minute

std::string folder_of(const std::string& path)
{
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos)
        return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

// Also when that cannot be known. A folder's time of change is never before that of its making.
bool is_young(const std::string& path)
{
    struct statx status;
    if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BTIME | STATX_CTIME, &status) != 0)
        return true;
    const int64_t made = status.stx_mask & STATX_BTIME ? status.stx_btime.tv_sec : status.stx_ctime.tv_sec;
    return made + old_enough > ::time(nullptr);
}

} // namespace

Result<void> sync_name(const std::string& path)
{
    const std::string folder = folder_of(path);
    UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd)
        return ::fsync(fd.get()) == 0 ? Result<void>() : Error::system(cat("sync folder ", folder), errno);
    // One that this user may not read (a spool of mode 1733): by way of what is in it.
    if (errno == EACCES)
        fd.reset(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd || ::syncfs(fd.get()) != 0)
        return Error::system(cat("sync folder ", folder), errno);
    return Result<void>();
}

Result<void> sync_young_names(const std::string& path)
{
    for (std::string name = path; name.size() > 1 && is_young(name); name = folder_of(name)) {
        if (::access(folder_of(name).c_str(), W_OK) != 0)
            return Result<void>(); // nothing in there was made by this user
        RETURN_IF_ERROR(sync_name(name));
    }
    return Result<void>();
}

} // namespace posthouse::local
