// Drops as the queue's listing shows them: see drop_listing.h.
#include "lib/queue/drop_listing.h"

#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "lib/queue/drop_file.h"
#include "lib/queue/protocol_codec.h"
#include "lib/queue/queue_id.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace posthouse::queue {

namespace {

constexpr size_t read_size = 65536;

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

std::string drop_folder(const std::string& queue_directory) { return cat(queue_directory, "/maildrop"); }

// To its end.
Result<void> read_drop(int fd, DropReader& reader)
{
    std::array<char, read_size> buffer;
    while (true) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0)
            return Error::system("read", errno);
        if (got == 0)
            return Error(ErrorKind::Corrupt, "bad drop file: it has no end");
        reader.feed(std::string_view(buffer.data(), static_cast<size_t>(got)));
        auto found = reader.next();
        while (found && *found == DropReader::Found::Content)
            found = reader.next();
        if (!found)
            return std::move(found.error());
        if (*found == DropReader::Found::End)
            return Result<void>();
    }
}

// In pieces for frames that are not too large.
std::vector<ListEntry> with_recipients(const ListEntry& head, const std::vector<std::string>& recipients,
                                       const std::string& reason)
{
    std::vector<ListEntry> entries(1, head);
    size_t bytes = 0;
    for (const std::string& address : recipients) {
        if (bytes >= list_piece_bytes) {
            entries.back().more = true;
            entries.push_back(head);
            entries.back().continues = true;
            bytes = 0;
        }
        ListedRecipient& recipient = entries.back().recipients.emplace_back();
        recipient.address = address.substr(0, codec::longest_text);
        recipient.reason = reason;
        bytes += recipient.bytes();
    }
    return entries;
}

} // namespace

Result<std::vector<std::string>> list_drops(const std::string& queue_directory)
{
    const std::string path = drop_folder(queue_directory);
    const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
    if (!directory)
        return Error::system(cat("open ", path), errno);
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(directory.get()))
        if (entry->d_name[0] != '.')
            names.emplace_back(entry->d_name);
    std::sort(names.begin(), names.end()); // they begin with the time
    return names;
}

std::vector<ListEntry> listed_drop(const std::string& queue_directory, const std::string& name)
{
    const std::string path = cat(drop_folder(queue_directory), '/', name);
    struct stat about {};
    if (::lstat(path.c_str(), &about) != 0 || !S_ISREG(about.st_mode) || (about.st_mode & S_IXUSR) == 0)
        return {};
    ListEntry head;
    head.id = name.substr(0, longest_queue_id);
    head.queue = Maildrop;
    head.arrival_us = static_cast<int64_t>(about.st_mtim.tv_sec) * 1000000 + about.st_mtim.tv_nsec / 1000;
    head.size = static_cast<uint64_t>(about.st_size);
    const auto file = open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
    if (!file && file.error().errno_value() == ENOENT)
        return {};
    DropReader reader;
    const Result<void> read = file ? read_drop(file->get(), reader) : Result<void>(file.error());
    const DropAttributes& attributes = reader.attributes();
    head.sender = reader.has_sender() ? attributes.sender.substr(0, codec::longest_text) : cat("uid ", about.st_uid);
    if (read)
        head.size = reader.content_size();
    std::vector<std::string> recipients = attributes.recipients;
    if (!read && recipients.empty())
        recipients.emplace_back("unknown");
    return with_recipients(head, recipients, read ? "" : read.error().full_text());
}

} // namespace posthouse::queue
