// The mark journal: makes what qmgr has learned about messages durable, many facts with one sync.
//
// A fact names a message by slot number and time part of its id, and stays true for ever, because no id is
// given twice. So facts may be found too late, twice, or beside a file that has long been used again, and
// still do no harm; that is why two files written in turn need no other bookkeeping:
//   journal.0, journal.1   records of 32 bytes: crc32c of the rest, kind, state, 0, number, id time, index
// When one is full and the facts of the other are in the queue files themselves (all in-place changes
// done, then syncfs: a checkpoint), the other is overwritten from its start. A torn or stale record fails
// its checksum, or is a true fact of the past.
//   journal.kept           the facts about slots that could not be read or written when that happened; often not there
#pragma once

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "lib/queue/queue.h"

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace posthouse::queue {

class Disk;

// Only what stays true: hold and the like, which can be undone, are synced with their file instead.
enum class FactKind : uint8_t {
    Adopted = 1, // qmgr has it
    Marked = 2,  // a recipient got a state
    Retired = 3, // done with
};

class Fact {
public:
    Fact() = default;
    Fact(FactKind what, uint64_t its_number, int64_t its_id_us, uint32_t its_index = 0, uint8_t its_state = 0)
        : kind(what), state(its_state), index(its_index), number(its_number), id_us(its_id_us)
    {
    }

    FactKind kind = FactKind::Adopted;
    uint8_t state = 0;  // Marked: RecipientState
    uint32_t index = 0; // Marked: of the recipient
    uint64_t number = 0;
    int64_t id_us = 0;

    bool operator==(const Fact&) const = default;
};

inline constexpr size_t fact_size = 32;
void encode(const Fact& fact, std::string& out);
// False when it is not a whole, valid record.
bool decode_fact(std::string_view bytes, Fact& fact);

// Durably replaces what journal.kept in `directory` says; without facts there is no such file. Blocks.
Result<void> keep_facts(const std::string& directory, const std::vector<Fact>& facts);

// What the journal knew at start, by slot.
class KnownFacts {
public:
    void add(const Fact& fact);
    // Those of one message, in the order in which they were written.
    std::vector<Fact> of(uint64_t number, int64_t id_us) const;
    std::vector<Fact> all() const;
    void forget(uint64_t number) { by_number_.erase(number); }
    template <class Wanted>
    void keep_only(Wanted wanted) // of numbers
    {
        std::erase_if(by_number_, [&wanted](const auto& entry) { return !wanted(entry.first); });
    }
    int64_t latest_us() const { return latest_us_; }
    bool empty() const { return by_number_.empty(); }

private:
    std::unordered_map<uint64_t, std::vector<Fact>> by_number_;
    int64_t latest_us_ = 0;
};

class MarkJournal {
public:
    // Creates the files (of `size` bytes each) in `directory` when they are missing; the error says what for, where and
    // how much. Blocks.
    static Result<std::unique_ptr<MarkJournal>> open(Disk& disk, const std::string& directory, uint64_t size);

    Result<KnownFacts> read() const; // blocks

    // ---- on the loop's thread
    void add(const Fact& fact);
    bool has_pending() const { return !pending_.empty(); }
    // The active file is full: after a checkpoint of what was added until now, switch.
    bool wants_switch() const { return offset_ + pending_.size() > size_; }
    void switch_files();

    // Takes what was added; the result is to be run in a pool thread, one at a time.
    class Flush {
    public:
        Flush() = default;
        Result<void> run(); // write and sync; blocks

    private:
        friend class MarkJournal;
        Disk* disk_ = nullptr;
        int fd_ = -1;
        uint64_t offset_ = 0;
        std::string bytes_;
    };
    Flush take_flush();

private:
    MarkJournal(Disk& disk, std::string directory, UniqueFd first, UniqueFd second, uint64_t size);
    Disk& disk_;
    const std::string directory_;
    UniqueFd files_[2];
    uint64_t size_;
    int active_ = 0;
    uint64_t offset_ = 0;
    std::string pending_;
};

} // namespace posthouse::queue
