// With the file rights of a directory's owner: see owned_file.h.
#include "lib/base/owned_file.h"

#include "lib/base/cat.h"
#include "lib/base/file.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse {

namespace {

// Linux: of this thread only, and with them go root's powers over files.
class FileRights {
public:
    FileRights(uid_t uid, gid_t gid) : active_(::geteuid() == 0 && uid != 0)
    {
        if (active_) {
            ::setfsgid(gid);
            ::setfsuid(uid);
        }
    }
    ~FileRights()
    {
        if (active_) {
            ::setfsuid(::geteuid());
            ::setfsgid(::getegid());
        }
    }
    FileRights(const FileRights&) = delete;
    FileRights& operator=(const FileRights&) = delete;

private:
    bool active_;
};

} // namespace

Result<UniqueFd> open_owned_file(const std::string& path)
{
    const size_t slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const UniqueFd folder(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat owner;
    if (!folder || ::fstat(folder.get(), &owner) != 0)
        return Error::system(cat("open ", directory), errno);
    const FileRights rights(owner.st_uid, owner.st_gid);
    // O_NONBLOCK: a pipe would wait for its other end.
    auto file = open_at(folder.get(), path.substr(slash + 1), O_RDWR | O_CREAT | O_NONBLOCK, 0600);
    if (!file)
        return std::move(file.error()).within(directory);
    struct stat status;
    if (::fstat(file->get(), &status) != 0)
        return Error::system(cat("examine ", path), errno);
    const uid_t expected = ::geteuid() == 0 ? owner.st_uid : ::geteuid();
    if (!S_ISREG(status.st_mode) || status.st_uid != expected)
        return Error(ErrorKind::Config, cat(path, ": not a file of the directory's owner"));
    return file;
}

} // namespace posthouse
