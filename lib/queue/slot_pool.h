// SlotPool: qmgr's side of the queue. It owns the slot files: creates them, leases them, finds messages in
// them at start, writes what becomes of each message, and takes them back. The only writer of a queue
// file once its message is committed. Everything is on the loop's thread; what blocks longer than an
// in-place write goes to the thread pool.
//
//   auto pool = SlotPool::open(loop, threads, directory, limits, listener);
//   co_await pool->scan();                 // listener.message_found(...) for each message
//   LeaseDesk desk(*pool);                 // lease_desk.h: serves private/qmgr; listener hears of new ones
//   pool->mark(number, index, RecipientState::Delivered);
//   pool->retire(number);                  // the last recipient is done
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/base/unique_fd.h"
#include "lib/event/loop.h"
#include "lib/event/thread_pool.h"
#include "lib/queue/lease_protocol.h"
#include "lib/queue/new_message.h"
#include "lib/queue/queue_file.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace posthouse::queue {

class Disk;

class SlotPoolLimits {
public:
    SlotPoolLimits() = default;

    uint64_t slot_size = 65536;             // queue_slot_size
    size_t pool_size = 500;                 // queue_pool_size: free slots kept; what is above it and not needed is unlinked
    Duration surplus_delay = Duration::seconds(10); // how long a slot must not have been needed for that
    uint64_t min_free = 0;                  // queue_minfree: no leases (but qmgr's own) when the file system has less
    uint64_t journal_size = 4u << 20;       // of each of the two files
    Duration journal_delay = Duration::milliseconds(50); // longest wait of a fact for its sync
    Duration locked_recheck = Duration::seconds(1);
    Duration retry_delay = Duration::seconds(1); // after EIO, EMFILE and the like; doubled up to 64 times this
    size_t create_batch = 32;
};

enum class Arrival : uint8_t {
    Noticed,  // its holder said so
    Examined, // found in a slot whose holder went away
    Scanned,  // found at start
    Own,      // written by qmgr itself through begin()
};

// Called from the loop's top level or from within a pool call that says so; must not call back into scan().
class QueueListener {
public:
    virtual ~QueueListener() = default;
    virtual void message_found(StoredMessage message, Arrival how) = 0;
    // A file was moved to corrupt/; already logged.
    virtual void message_damaged(uint64_t number, const std::string& id) = 0;
};

class LeasedFile {
public:
    LeasedFile() = default;
    LeasedFile(LeasedSlot its_slot, UniqueFd its_file) : slot(its_slot), file(std::move(its_file)) {}

    LeasedSlot slot;
    UniqueFd file; // O_RDWR, locked; whoever has it holds the slot
};

// Names a holder's connection; 0 is qmgr itself.
using HolderId = uint64_t;

class SlotPool final : public MessageSource {
public:
    // Makes the directories that are missing, opens the journal. `lock`: of SlotFiles::lock_queue, when the caller has
    // it already; else it is taken, or an Error when another queue manager has it. `disk`: for tests.
    static Result<std::unique_ptr<SlotPool>> open(Loop& loop, ThreadPool& threads, const std::string& queue_directory,
                                                  SlotPoolLimits limits, QueueListener& listener,
                                                  Disk* disk = nullptr, UniqueFd lock = UniqueFd());
    ~SlotPool() override;

    // Finds every message; calls the listener for each. Files that someone holds, or that cannot be read now, are
    // looked at again until they can. Once, at start. Leases are given as soon as the directories have been listed,
    // of slots that were made since or found to be free; what is retired is used again only after the scan's end.
    Task<Result<void>> scan();
    // When the slots that exist have been listed: before that, nothing that a holder says can be looked into.
    Task<void> listed();

    // ---- leases (used by LeaseDesk)
    // At least one, at most `count`.
    Task<Result<std::vector<LeasedFile>>> lease(size_t count, HolderId holder);
    // A holder has come back with leases from an earlier connection (or an earlier qmgr). Nothing that it says of
    // these is believed: it only makes the pool look into their files.
    void claim(HolderId holder, const std::vector<uint64_t>& numbers);
    // Error: the holder lies, it never had that slot. Nothing was believed.
    Result<void> committed(HolderId holder, CommittedMessage message);
    Result<void> dropped(HolderId holder, uint64_t number, bool broken);
    void holder_gone(HolderId holder); // examines what it had
    uint64_t free_bytes() const;
    uint64_t slot_size() const;

    // ---- messages: `number` must be of a live message that the listener was told of. What cannot be written into the
    // file at the moment is remembered and written later.
    void mark(uint64_t number, uint32_t index, RecipientState state);
    void set_known(uint64_t number); // qmgr has begun with it: from now on damage is damage (see queue.h)
    void set_held(uint64_t number, bool held);
    void set_expire(uint64_t number, Expire expire);
    void set_warned(uint64_t number);
    void set_next_attempt(uint64_t number, int64_t wall_us); // the file's mtime: after the marks
    // Before a message with this id is committed in its place: from then on, whatever is killed, exactly one of the two
    // counts (StoredMessage::successor). Durable on success; still to be retired when the other is committed.
    Task<Result<void>> set_successor(uint64_t number, std::string id);
    void retire(uint64_t number);                            // done: the slot will be used again
    void quarantine(uint64_t number, const std::string& why); // to corrupt/
    bool is_live(uint64_t number, const std::string& id) const;

    // Read-only, for an agent.
    Result<UniqueFd> open_message(uint64_t number) const;
    // Reads the envelope again, in a pool thread, for a scheduler that does not keep it in memory.
    // WithContent: before an attempt, when the message was not committed in this qmgr's life.
    Task<Result<StoredMessage>> load(uint64_t number, Depth depth) const;

    // ---- qmgr's own messages (bounces, warnings): no IPC; the listener hears Arrival::Own
    Task<Result<std::unique_ptr<NewMessage>>> begin(Deadline deadline) override;

    // All facts on disk: before exit. Marks after it are allowed.
    Task<Result<void>> settle();

    class Counts {
    public:
        Counts() = default;
        size_t free = 0;
        size_t leased = 0;
        size_t live = 0;
        size_t retired = 0; // waiting for the journal
        size_t undone = 0;  // changes and examinations that are tried again
    };
    Counts counts() const;

private:
    struct Impl;
    explicit SlotPool(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_; // owners: the pool, its messages, and its work in the thread pool
};

} // namespace posthouse::queue
