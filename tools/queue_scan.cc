// The queue's listing from its files alone, while no queue manager runs: see queue_scan.h.
#include "tools/queue_scan.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/queue/queue.h"
#include "lib/queue/queue_file.h"

#include <cerrno>
#include <cstdint>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <optional>

namespace posthouse::tools {

namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

queue::ListEntry entry_of(const queue::StoredMessage& message)
{
    queue::ListEntry entry;
    entry.id = message.id();
    entry.queue = message.held ? queue::Hold : message.known ? queue::Deferred : queue::Incoming;
    entry.arrival_us = message.envelope.arrival_us;
    entry.size = message.content.size;
    entry.forced_expire = message.expire != queue::Expire::No;
    entry.sender = message.envelope.sender;
    entry.next_us = entry.queue == queue::Deferred ? message.next_attempt_us : 0;
    for (size_t i = 0; i < message.envelope.recipients.size(); ++i) {
        if (queue::is_settled(message.states[i]))
            continue;
        queue::ListedRecipient recipient;
        recipient.address = message.envelope.recipients[i].address;
        recipient.original = message.envelope.recipients[i].original;
        entry.recipients.push_back(std::move(recipient));
    }
    return entry;
}

void look_at(const std::string& path, uint64_t number, const std::function<void(const queue::ListEntry&)>& each)
{
    const auto file = open_at(AT_FDCWD, path, O_RDONLY);
    if (!file)
        return;
    auto seen = queue::examine_file(file->get(), number, queue::Depth::WithoutContent);
    if (seen && seen->verdict == queue::Verdict::Complete)
        each(entry_of(seen->message));
}

} // namespace

Result<void> scan_queue(const std::string& queue_directory, const std::function<void(const queue::ListEntry&)>& each)
{
    const std::string top = cat(queue_directory, "/", queue::mail_directory);
    static constexpr const char* digits = "0123456789abcdef";
    for (unsigned high = 0; high < 16; ++high)
        for (unsigned low = 0; low < 16; ++low) {
            const std::string below = cat(top, "/", digits[high], digits[low]);
            const Directory directory(::opendir(below.c_str()));
            if (!directory) {
                if (errno == ENOENT)
                    continue;
                return Error::system(cat("open directory ", below), errno);
            }
            while (const dirent* entry = ::readdir(directory.get()))
                if (const auto number = ascii::parse_unsigned(entry->d_name))
                    look_at(cat(below, "/", entry->d_name), *number, each);
        }
    return Result<void>();
}

} // namespace posthouse::tools
