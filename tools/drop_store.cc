// Files in maildrop/, as postdrop makes them: see drop_store.h.
#include "tools/drop_store.h"

#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/base/random.h"
#include "lib/base/time.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace posthouse::tools {

namespace {

constexpr int most_names_tried = 10;

std::string new_name()
{
    return cat(wall_clock_us(), '.', ::getpid(), '.', random_below(1000000));
}

} // namespace

DropFile::DropFile(UniqueFd directory, UniqueFd file, std::string name, mode_t mode)
    : directory_(std::move(directory)), file_(std::move(file)), name_(std::move(name)), mode_(mode)
{
}

DropFile::~DropFile()
{
    if (file_)
        ::unlinkat(directory_.get(), name_.c_str(), 0);
}

Result<DropFile> DropFile::create(const std::string& directory)
{
    UniqueFd folder(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    struct stat about;
    if (!folder || ::fstat(folder.get(), &about) != 0)
        return Error::system(cat("open ", directory), errno);
    const bool is_ours = about.st_uid == ::geteuid();
    const bool is_open = (about.st_mode & 0007) != 0;
    const bool gives_away = !is_ours && is_open && ::geteuid() == 0;
    if (!is_ours && is_open && !gives_away)
        return Error(ErrorKind::Config, cat(directory, " is open to other users: refusing to store mail there"));
    const mode_t mode = is_ours || gives_away ? 0700 : 0744;
    for (int i = 0; i < most_names_tried; ++i) {
        std::string name = new_name();
        auto file = open_at(folder.get(), name, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (file && gives_away && ::fchown(file->get(), about.st_uid, about.st_gid) != 0)
            return Error::system("fchown", errno);
        if (file)
            return DropFile(std::move(folder), std::move(*file), std::move(name), mode);
        if (file.error().errno_value() != EEXIST)
            return std::move(file.error()).within(directory);
    }
    return Error(ErrorKind::Temporary, cat("no free name in ", directory));
}

Result<void> DropFile::write(std::string_view bytes)
{
    return write_all(file_.get(), bytes);
}

Result<void> DropFile::complete()
{
    if (::fchmod(file_.get(), mode_) != 0)
        return Error::system("fchmod", errno);
    if (::fsync(file_.get()) != 0)
        return Error::system("fsync", errno);
    file_.reset();
    return {};
}

uint64_t free_bytes(const std::string& path)
{
    struct statvfs about;
    if (::statvfs(path.c_str(), &about) != 0)
        return UINT64_MAX;
    return static_cast<uint64_t>(about.f_bavail) * about.f_frsize;
}

void wake_pickup(const std::string& queue_directory)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = queue_directory + "/public/pickup";
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket || path.size() >= sizeof address.sun_path)
        return;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    (void)::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address); // see above
}

} // namespace posthouse::tools
