// SlotMessage: a NewMessage that is written into a slot. The same for a leased slot (QueueClient) and for
// qmgr's own (SlotPool); they differ in SlotOwner, who is told how it ended. Private to lib/queue.
#pragma once

#include "lib/base/unique_fd.h"
#include "lib/event/loop.h"
#include "lib/event/thread_pool.h"
#include "lib/queue/lease_protocol.h"
#include "lib/queue/new_message.h"
#include "lib/queue/queue_file.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace posthouse::queue {

class Disk;

// Called on the loop's thread. Exactly one of committed, returned and dropped for each message.
class SlotOwner {
public:
    virtual ~SlotOwner() = default;
    // Durable, and the descriptor is closed: the lock has fallen. Also when whoever waited is gone.
    virtual void slot_committed(CommittedMessage message) = 0;
    // Never committed, and the file may take another message: no larger than a slot, no write under way.
    virtual void slot_returned(LeasedSlot slot, UniqueFd file) = 0;
    // Not to be used as it is. Its descriptor is closed, or will be when a write that is under way ends.
    virtual void slot_dropped(uint64_t number, bool broken) = 0;
    // Around the time that a commit is under way; it ends before one of the calls above.
    virtual void commit_started() = 0;
    virtual void commit_ended() = 0;
};

class SlotMessageLimits {
public:
    SlotMessageLimits() = default;
    SlotMessageLimits(size_t buffered, uint64_t slot) : buffer(buffered), slot_size(slot) {}

    size_t buffer = 65536;
    uint64_t slot_size = 65536;
};

class SlotMessage final : public NewMessage {
public:
    // `loop`, `threads` and `disk` outlive it. `owner`: kept until the end has been told.
    SlotMessage(std::shared_ptr<SlotOwner> owner, ThreadPool& threads, Disk& disk, LeasedSlot slot, UniqueFd file,
                SlotMessageLimits limits);
    ~SlotMessage() override;

    const std::string& id() const override { return id_; }
    int64_t arrival_us() const override { return arrival_us_; }
    uint64_t size() const override { return content_.size; }
    Task<Result<void>> append(std::string_view content) override;
    Task<Result<void>> commit(mail::Envelope envelope, smtp::ContentFacts facts, Deadline deadline) override;

    struct Commit; // work for the thread pool, with all that it touches

private:
    // Owners: the message, and the pool's functions that write to it. The last one closes it.
    struct File {
        explicit File(UniqueFd its_fd) : fd(std::move(its_fd)) {}
        UniqueFd fd;
    };
    Task<Result<void>> write_out();

    std::shared_ptr<SlotOwner> owner_;
    ThreadPool& threads_;
    Disk& disk_;
    LeasedSlot slot_;
    std::shared_ptr<File> file_; // null once the owner has been told, or will be by the commit
    SlotMessageLimits limits_;
    int64_t arrival_us_;
    int64_t id_us_;
    std::string id_;
    ContentInfo content_;
    std::string buffer_;          // the end of the content, not yet written
    bool writing_ = false;        // a write is under way, or was when its waiter was cancelled
    std::optional<Error> failed_; // of an earlier write
    bool broken_ = false;         // ... which was more than a full disk
};

} // namespace posthouse::queue
