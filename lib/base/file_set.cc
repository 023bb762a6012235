// Files that belong together: see file_set.h.
#include "lib/base/file_set.h"

#include "lib/base/cat.h"
#include "lib/base/unique_fd.h"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <cstring>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse {

namespace {

struct DirectoryDeleter {
    void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, DirectoryDeleter>;

std::vector<std::string> names_in(DIR* directory)
{
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(directory))
        if (entry->d_name[0] != '.')
            names.emplace_back(entry->d_name);
    std::sort(names.begin(), names.end());
    return names;
}

// The size is known before: a growing string would leave pieces of a key behind.
Result<void> read_all(int fd, const std::string& path, size_t size, size_t limit, std::string& into)
{
    if (into.size() + size > limit)
        return Error(ErrorKind::Permanent, cat(path, ": longer than ", limit, " bytes"));
    const size_t begin = into.size();
    into.resize(begin + size);
    size_t done = 0;
    while (done < size) {
        const ssize_t got = ::read(fd, into.data() + begin + done, size - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return Error::system(cat("read ", path), errno);
        if (got == 0)
            break;
        done += static_cast<size_t>(got);
    }
    into.resize(begin + done);
    return Result<void>();
}

Result<void> read_path(const std::string& path, size_t limit, std::string& into)
{
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd)
        return Error::system(cat("open ", path), errno);
    struct stat status;
    if (::fstat(fd.get(), &status) != 0)
        return Error::system(cat("stat ", path), errno);
    if (S_ISREG(status.st_mode))
        return read_all(fd.get(), path, static_cast<size_t>(status.st_size), limit, into);
    if (!S_ISDIR(status.st_mode))
        return Error(ErrorKind::Config, cat(path, ": not a file"));
    const Directory directory(::opendir(path.c_str()));
    if (!directory)
        return Error::system(cat("open ", path), errno);
    for (const std::string& name : names_in(directory.get())) {
        const std::string member = cat(path, '/', name);
        if (::stat(member.c_str(), &status) != 0 || !S_ISREG(status.st_mode))
            continue;
        RETURN_IF_ERROR(read_path(member, limit, into));
        into.push_back('\n');
    }
    return Result<void>();
}

void add_signature(const std::string& path, bool members, FileSet::Signature& into)
{
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) {
        into.push_back(0);
        return;
    }
    for (const auto part : {static_cast<uint64_t>(status.st_dev), static_cast<uint64_t>(status.st_ino),
                            static_cast<uint64_t>(status.st_size), static_cast<uint64_t>(status.st_mtim.tv_sec),
                            static_cast<uint64_t>(status.st_mtim.tv_nsec), static_cast<uint64_t>(status.st_mode),
                            static_cast<uint64_t>(status.st_uid)})
        into.push_back(part);
    if (!members || !S_ISDIR(status.st_mode))
        return;
    const Directory directory(::opendir(path.c_str()));
    if (directory)
        for (const std::string& name : names_in(directory.get()))
            add_signature(cat(path, '/', name), false, into);
}

} // namespace

FileSet FileSet::read(const std::vector<std::string>& paths, size_t limit)
{
    FileSet set;
    for (const std::string& path : paths) {
        const bool known = std::any_of(set.entries_.begin(), set.entries_.end(),
                                       [&](const Entry& entry) { return entry.path == path; });
        if (known)
            continue;
        std::string content;
        const Result<void> done = read_path(path, limit, content);
        set.add(Entry(path, Secret(content), done ? "" : done.error().full_text()));
        wipe(content);
    }
    return set;
}

FileSet::Signature FileSet::signature(const std::vector<std::string>& paths)
{
    Signature signature;
    for (const std::string& path : paths)
        add_signature(path, true, signature);
    return signature;
}

Result<std::string_view> FileSet::content(std::string_view path) const
{
    const auto found =
        std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.path == path; });
    if (found == entries_.end())
        return Error(ErrorKind::NotFound, cat(path, ": not read"));
    if (!found->fault.empty())
        return Error(ErrorKind::Config, found->fault);
    return found->content.reveal();
}

} // namespace posthouse
