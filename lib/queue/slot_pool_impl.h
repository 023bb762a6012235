// The inside of SlotPool: what is known of each slot, and the work under way. Private to slot_pool*.cc:
//   slot_pool.cc          messages: marks, retiring, loading, the public functions
//   slot_pool_changes.cc  changes in place, and trying again what cannot be done now
//   slot_pool_supply.cc   free slots: leases, creation, unlinking what is not needed
//   slot_pool_journal.cc  the journal's sync, which makes retired slots free; checkpoints
//   slot_pool_scan.cc     finding messages: at start, after a holder went away
#pragma once

#include "lib/event/notify.h"
#include "lib/event/task_group.h"
#include "lib/queue/disk.h"
#include "lib/queue/mark_journal.h"
#include "lib/queue/slot_files.h"
#include "lib/queue/slot_message.h"
#include "lib/queue/slot_pool.h"

#include <array>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

namespace posthouse::queue {

// What is to be written into the file of a message, in place.
struct InPlace {
    std::vector<std::pair<uint32_t, RecipientState>> marks;
    std::optional<Expire> expire;
    std::optional<bool> held;
    std::optional<int64_t> next_attempt_us; // last: every write sets the same time stamp
    bool known = false;
    bool warned = false;
    bool free = false; // no message any more
    bool sync = false; // in the background
};

Result<void> sync_file_system(Disk& disk, const std::string& directory); // blocks

// A slot is in exactly one of: free, leased, live, retired (or on its way to be free), locked (somebody
// unknown holds it), unread (it cannot be looked at now), examining, unmoved (damaged, and cannot be moved now). Of a
// live one there may be an entry in `undone` as well; one that is to be retired is only there until that is done.
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
        bool remove; // never to be used again
    };
    // A change that could not be written: no descriptors, an I/O error.
    struct Undone {
        InPlace change;
        uint64_t states_offset;
        int64_t id_us;
        std::optional<RetiredSlot> retired; // when it is written
    };

    struct Unmoved { // a damaged file
        std::string id;   // when there is one
        std::string what; // for the log
    };

    Impl(Loop& its_loop, ThreadPool& its_threads, std::string directory, SlotPoolLimits its_limits,
         QueueListener& its_listener, Disk& its_disk, std::unique_ptr<MarkJournal> its_journal);

    Loop& loop;
    ThreadPool& threads;
    const SlotFiles files;
    const SlotPoolLimits limits;
    QueueListener* listener; // null once the pool is gone
    Disk& disk;
    const std::shared_ptr<MarkJournal> journal; // owners: this and, while it is read, a thread
    UniqueFd lock; // SlotFiles::lock_queue

    std::vector<FreeSlot> free;
    std::unordered_map<uint64_t, LeasedSlotState> leased;
    std::unordered_map<uint64_t, LiveMessage> live;
    std::unordered_set<uint64_t> fresh; // live, and not `known` in the file
    std::vector<RetiredSlot> retired;   // since the last flush began
    size_t retiring = 0;                // in the flush that runs
    std::unordered_map<uint64_t, Arrival> locked;
    std::unordered_set<uint64_t> examining;
    std::unordered_set<uint64_t> broken; // being examined; not to be used again
    std::unordered_set<uint64_t> unscanned; // until the scan comes to it
    std::map<uint64_t, Undone> undone;
    std::map<uint64_t, Arrival> unread;
    std::map<uint64_t, Unmoved> unmoved;
    uint64_t retried = 0;                    // number of the last that was tried again
    Duration retry_delay;
    // Slots that a holder says it had before this qmgr's life, or before its connection ended.
    std::unordered_map<HolderId, std::unordered_set<uint64_t>> claims;
    KnownFacts known_facts; // of the journal at start; from the scan's end on, only those of unread slots
    int64_t latest_us = 0;  // time part of the latest id seen: a new file's ids come after it

    std::array<uint64_t, directory_count> next_number{};
    unsigned next_directory = 0;
    size_t batch;           // slots to create at a time: more while they go quickly
    Instant quick_until;    // the next batch is needed sooner than that: they go quickly
    bool creating = false;
    std::optional<Error> create_failed; // the last time
    size_t least_free = 0; // slots that were free all the time since the surplus was last looked at
    bool listed = false;   // the numbers that exist are known: new ones can be made
    bool scanned = false;
    bool flushing = false;
    bool checkpointing = false;
    bool journal_broken = false;
    uint64_t free_bytes = UINT64_MAX;
    Instant free_bytes_until;

    Event changed; // slots became free, creation failed, a flush or the scan ended
    Timer flush_timer;
    Timer locked_timer;
    Timer retry_timer;
    Timer surplus_timer;

    // ---- SlotOwner: qmgr's own messages, holder 0
    void slot_committed(CommittedMessage message) override;
    void slot_returned(LeasedSlot slot, UniqueFd file) override;
    void slot_dropped(uint64_t number, bool is_broken) override;
    void commit_started() override {}
    void commit_ended() override {}

    // ---- slot_pool.cc
    void take_notice(CommittedMessage message, Arrival how);
    void adopt(StoredMessage message, Arrival how);
    LiveMessage* find_live(uint64_t number);
    void retire(uint64_t number);
    void quarantine(uint64_t number, const std::string& id, const std::string& why);
    void look_into_claims(HolderId holder);
    // Error: the holder said what cannot be true.
    Result<void> take_committed(HolderId holder, CommittedMessage message);
    Result<void> take_dropped(HolderId holder, uint64_t number, bool is_broken);

    // ---- slot_pool_changes.cc
    // Of a live message. When it cannot be done now it is tried until it can.
    void change(uint64_t number, InPlace change);
    void write_end(const RetiredSlot& slot);
    void note_undone(uint64_t number, const Error& why); // before it is put there
    Result<void> write_in_place(uint64_t number, const InPlace& change, uint64_t states_offset);
    void sync_in_background(UniqueFd file);
    bool move_aside(uint64_t number, const std::string& id, const std::string& what);
    void look_again_later();
    void try_again();
    size_t try_undone();
    void overlay_undone(StoredMessage& message) const;
    std::vector<Fact> undone_facts() const;

    // ---- slot_pool_supply.cc
    std::vector<LeasedFile> take_free(size_t count, HolderId holder);
    void make_supply(HolderId holder);
    void create_batch();
    void created(SlotFiles::Created result);
    bool disk_is_low();
    bool has_space_for(HolderId holder);
    bool is_short() const; // of free slots
    void trim_later();
    void trim();
    void unlink_some(size_t surplus);

    // ---- slot_pool_journal.cc
    void note_fact(const Fact& fact);
    bool has_unwritten_facts() const;
    void flush_later();
    void flush();
    void flushed(const Result<void>& outcome, std::vector<RetiredSlot> slots);
    void checkpoint();
    // Everything that the journal says is in the files, or in the file of kept facts: its older part may be written
    // over. Blocks.
    static Result<void> sync_all(Disk& disk, const std::string& directory, const std::vector<Fact>& kept);
    std::vector<Fact> facts_to_keep() const;
    void write_that_known(uint64_t number);

    // ---- slot_pool_scan.cc
    Task<Result<void>> scan();
    Task<Result<void>> begin_scan(std::vector<std::vector<uint64_t>>& numbers); // by directory
    Task<void> examine_piece(std::vector<uint64_t> numbers);
    Task<Result<void>> end_scan();
    void examine_later(uint64_t number, Arrival how);
    void examine_locked();
    void recheck_later(uint64_t number, Arrival how); // somebody has it open
    void found_message(SlotFiles::Found found, Arrival how);
    void cannot_read(uint64_t number, Arrival how, const Error& why);
    void apply_facts(StoredMessage& message, const std::vector<Fact>& facts);
    void note_latest(int64_t id_us);
    void make_free(uint64_t number, int64_t last_us, uint64_t file_size);
};

} // namespace posthouse::queue
