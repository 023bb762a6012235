// Synchronous file work: see file.h.
#include "lib/base/file.h"

#include "lib/base/cat.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse {

Result<UniqueFd> open_at(int directory_fd, const std::string& path, int flags, mode_t mode)
{
    int fd = ::openat(directory_fd, path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return Error::system(cat("open ", path), errno);
    return UniqueFd(fd);
}

Result<std::string> read_file(const std::string& path, size_t limit)
{
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd)
        return Error::system(cat("open ", path), errno);
    std::string bytes;
    char chunk[16384];
    while (true) {
        ssize_t got = ::read(fd.get(), chunk, sizeof chunk);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            return Error::system(cat("read ", path), errno);
        }
        if (got == 0)
            return bytes;
        bytes.append(chunk, static_cast<size_t>(got));
        if (bytes.size() > limit)
            return Error(ErrorKind::Permanent, cat(path, ": longer than ", limit, " bytes"));
    }
}

Result<void> write_all(int fd, std::string_view bytes)
{
    while (!bytes.empty()) {
        ssize_t done = ::write(fd, bytes.data(), bytes.size());
        if (done < 0) {
            if (errno == EINTR)
                continue;
            return Error::system("write", errno);
        }
        bytes.remove_prefix(static_cast<size_t>(done));
    }
    return {};
}

Result<void> pwrite_all(int fd, std::string_view bytes, uint64_t offset)
{
    while (!bytes.empty()) {
        ssize_t done = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (done < 0) {
            if (errno == EINTR)
                continue;
            return Error::system("write", errno);
        }
        bytes.remove_prefix(static_cast<size_t>(done));
        offset += static_cast<uint64_t>(done);
    }
    return {};
}

Result<size_t> pread_full(int fd, char* into, size_t size, uint64_t offset)
{
    size_t total = 0;
    while (total < size) {
        ssize_t got = ::pread(fd, into + total, size - total, static_cast<off_t>(offset + total));
        if (got < 0) {
            if (errno == EINTR)
                continue;
            return Error::system("read", errno);
        }
        if (got == 0)
            break;
        total += static_cast<size_t>(got);
    }
    return total;
}

Result<void> sync_directory(const std::string& path)
{
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd)
        return Error::system(cat("open ", path), errno);
    if (::fsync(fd.get()) != 0)
        return Error::system(cat("fsync ", path), errno);
    return {};
}

namespace {
Result<void> write_synced(const std::string& path, std::string_view bytes, mode_t mode)
{
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!fd)
        return Error::system(cat("create ", path), errno);
    RETURN_IF_ERROR(write_all(fd.get(), bytes));
    if (::fchmod(fd.get(), mode) != 0)
        return Error::system(cat("chmod ", path), errno);
    if (::fsync(fd.get()) != 0)
        return Error::system(cat("fsync ", path), errno);
    return {};
}
} // namespace

Result<void> replace_file(const std::string& path, std::string_view bytes, mode_t mode)
{
    const std::string temporary = cat(path, ".tmp", ::getpid());
    if (auto written = write_synced(temporary, bytes, mode); !written) {
        ::unlink(temporary.c_str());
        return std::move(written.error());
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
        const int reason = errno;
        ::unlink(temporary.c_str());
        return Error::system(cat("rename ", temporary, " to ", path), reason);
    }
    const size_t slash = path.rfind('/');
    return sync_directory(slash == std::string::npos ? "." : path.substr(0, slash + 1));
}

} // namespace posthouse
