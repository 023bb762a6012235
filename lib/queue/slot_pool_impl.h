// The inside of SlotPool: what is known of each slot, and the work under way. Private to slot_pool*.cc:
//   slot_pool.cc         messages: marks, retiring, loading, the public functions
//   slot_pool_supply.cc  free slots: leases, creation, the journal's sync, checkpoints
//   slot_pool_scan.cc    finding messages: at start, after a holder went away
#pragma once

#include "lib/event/notify.h"
#include "lib/event/task_group.h"
#include "lib/queue/disk.h"
#include "lib/queue/mark_journal.h"
#include "lib/queue/slot_files.h"
#include "lib/queue/slot_message.h"
#include "lib/queue/slot_pool.h"

#include <array>
#include <optional>
#include <unordered_map>
#include <unordered_set>

namespace posthouse::queue {

// A slot is in exactly one of: free, leased, live, retired (or on its way to be free), locked (somebody
// unknown holds it), examining.
struct SlotPool::Impl final : SlotOwner, std::enable_shared_from_this<SlotPool::Impl> {
    struct FreeSlot {
        uint64_t number;
        int64_t last_us; // time part of the last id
    };
    struct LeasedSlotState {
        HolderId holder;
        int64_t not_before_us;
    };
    struct LiveMessage {
        int64_t id_us;
        uint64_t states_offset;
        uint32_t recipients;
        bool known;
        uint64_t file_size;
    };
    struct RetiredSlot {
        uint64_t number;
        int64_t last_us;
        uint64_t file_size;
        bool remove; // the pool is full
    };

    Impl(Loop& its_loop, ThreadPool& its_threads, std::string directory, SlotPoolLimits its_limits,
         QueueListener& its_listener, Disk& its_disk, std::unique_ptr<MarkJournal> its_journal);

    Loop& loop;
    ThreadPool& threads;
    const SlotFiles files;
    const SlotPoolLimits limits;
    QueueListener* listener; // null once the pool is gone
    Disk& disk;
    std::unique_ptr<MarkJournal> journal;
    UniqueFd lock; // SlotFiles::lock_queue

    std::vector<FreeSlot> free;
    std::unordered_map<uint64_t, LeasedSlotState> leased;
    std::unordered_map<uint64_t, LiveMessage> live;
    std::unordered_set<uint64_t> fresh; // live, and not `known` in the file
    std::vector<RetiredSlot> retired;   // since the last flush began
    size_t retiring = 0;                // in the flush that runs
    std::unordered_map<uint64_t, Arrival> locked;
    std::unordered_set<uint64_t> examining;
    KnownFacts known_facts; // of the journal at start; until the scan's end
    int64_t latest_us = 0;  // time part of the latest id seen: a new file's ids come after it

    std::array<uint64_t, directory_count> next_number{};
    unsigned next_directory = 0;
    size_t batch;           // slots to create next time
    bool creating = false;
    std::optional<Error> create_failed;
    bool scanned = false;
    bool flushing = false;
    bool checkpointing = false;
    bool journal_broken = false;
    uint64_t free_bytes = UINT64_MAX;
    Instant free_bytes_until;

    Event changed; // slots became free, creation failed, a flush or the scan ended
    Timer flush_timer;
    Timer locked_timer;

    // ---- SlotOwner: qmgr's own messages, holder 0
    void slot_committed(CommittedMessage message) override;
    void slot_returned(LeasedSlot slot, UniqueFd file) override;
    void slot_dropped(uint64_t number, bool broken) override;
    void commit_started() override {}
    void commit_ended() override {}

    // ---- slot_pool.cc
    void take_notice(CommittedMessage message, Arrival how);
    void adopt(StoredMessage message, Arrival how);
    void note_fact(const Fact& fact);
    bool has_unwritten_facts() const;
    LiveMessage* find_live(uint64_t number);
    // Opens it for one change in place; a failure is logged.
    UniqueFd open_to_change(uint64_t number);
    void sync_in_background(UniqueFd file);
    void retire(uint64_t number);
    void quarantine(uint64_t number, const std::string& id, const std::string& why);

    // ---- slot_pool_supply.cc
    std::vector<LeasedFile> take_free(size_t count, HolderId holder);
    void make_supply();
    void create_batch();
    void created(SlotFiles::Created result);
    bool disk_is_low();
    void flush_later();
    void flush();
    void flushed(const Result<void>& outcome, std::vector<RetiredSlot> slots);
    void checkpoint();
    bool is_short() const;       // of free slots
    bool too_many_slots() const; // to keep

    // ---- slot_pool_scan.cc
    Task<Result<void>> scan();
    void examine_later(uint64_t number, Arrival how);
    void examine_locked();
    void found_message(SlotFiles::Found found, Arrival how);
    void apply_facts(StoredMessage& message, const std::vector<Fact>& facts);
    void make_free(uint64_t number, int64_t last_us, uint64_t file_size);
};

} // namespace posthouse::queue
