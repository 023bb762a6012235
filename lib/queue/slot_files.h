// What SlotPool, qmgr's start and the tools do to slot files as files. Blocking, without state of their own. Paths are below the queue directory.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/base/unique_fd.h"
#include "lib/queue/queue_file.h"

#include <cstdint>
#include <string>
#include <vector>

namespace posthouse::queue {

inline constexpr unsigned directory_count = 256;

class SlotFiles {
public:
    explicit SlotFiles(std::string queue_directory) : directory_(std::move(queue_directory)) {}

    const std::string& directory() const { return directory_; }
    std::string path(uint64_t number) const;

    // mail/, mail/00 to mail/ff, corrupt/: durable when it returns. What root makes belongs to the owner of mail/.
    Result<void> make_directories() const;

    // O_NOFOLLOW, and only a regular file.
    Result<UniqueFd> open(uint64_t number, int flags) const;
    // Read only, without a new access time: each would be a change of metadata.
    Result<UniqueFd> open_to_read(uint64_t number) const;
    // The exclusive lock that a lease is; false when somebody has it.
    static Result<bool> lock(int fd);

    // The queue's own lock, mail/lock: only one queue manager at a time, and no command that changes files beside it.
    // One that was orphaned when master was killed is waited for, up to `patience`; then a temporary error. Held as
    // long as the descriptor is open.
    Result<UniqueFd> lock_queue(Duration patience) const;

    struct Created {
        std::vector<uint64_t> numbers;
        Result<void> outcome; // why fewer than asked for
    };
    // All in one directory (equal mod 256), preallocated, the directory synced once. A number that exists is
    // left alone and out.
    Created create(const std::vector<uint64_t>& numbers, uint64_t size) const;

    // Numbers of all files in mail/XX.
    Result<std::vector<uint64_t>> list(unsigned directory) const;

    struct Found {
        uint64_t number = 0;
        bool exists = false;
        bool locked = false;
        Examination examination;
    };
    // Content is verified when qmgr has not known the message before; stale states are put right, before
    // anything makes them count. With `sync` a whole message is durable when it returns.
    Result<Found> examine(uint64_t number, bool sync) const;

    Result<void> truncate(uint64_t number, uint64_t size) const;
    Result<void> remove(uint64_t number) const;

    // To corrupt/NAME: the id, or slot.NUMBER when there is none. Returns the new path.
    Result<std::string> set_aside(uint64_t number, const std::string& id) const;

    Result<uint64_t> free_bytes() const;

private:
    std::string directory_;
};

} // namespace posthouse::queue
