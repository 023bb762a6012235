// SlotPool: finding messages in slots, at start and when a holder went away. See slot_pool_impl.h and the
// state table in queue.h.
#include "lib/base/time.h"
#include "lib/log/log.h"
#include "lib/queue/queue_id.h"
#include "lib/queue/slot_pool_impl.h"

#include <algorithm>
#include <functional>

namespace posthouse::queue {

namespace {

constexpr size_t examined_at_a_time = 100; // then others have their turn
constexpr int64_t ten_years_us = 10 * 365 * 86400 * int64_t{1000000};

struct Examined {
    uint64_t number;
    Result<SlotFiles::Found> found;
};

bool has(const std::vector<Fact>& facts, FactKind kind)
{
    return std::any_of(facts.begin(), facts.end(), [kind](const Fact& fact) { return fact.kind == kind; });
}

std::vector<Examined> examine_all(const SlotFiles& files, const std::vector<uint64_t>& numbers)
{
    std::vector<Examined> all;
    for (const uint64_t number : numbers)
        all.push_back(Examined{number, files.examine(number, false)});
    return all;
}

Result<std::vector<std::vector<uint64_t>>> list_directories(const SlotFiles& files)
{
    std::vector<std::vector<uint64_t>> all;
    for (unsigned directory = 0; directory < directory_count; ++directory) {
        auto numbers = files.list(directory);
        if (!numbers)
            return std::move(numbers.error());
        all.push_back(*std::move(numbers));
    }
    return all;
}

} // namespace

// The slots that are made meanwhile have higher numbers than any in the lists, and nobody but the pool makes any: the
// scan never meets them.
Task<Result<void>> SlotPool::Impl::scan()
{
    std::vector<std::vector<uint64_t>> numbers;
    auto begun = co_await begin_scan(numbers);
    CO_CHECK(std::move(begun));
    for (const std::vector<uint64_t>& directory : numbers) {
        for (size_t at = 0; at < directory.size(); at += examined_at_a_time) {
            const auto first = directory.begin() + static_cast<ptrdiff_t>(at);
            const size_t count = std::min(directory.size() - at, examined_at_a_time);
            std::vector<uint64_t> some(first, first + static_cast<ptrdiff_t>(count));
            // Not those that were examined out of turn.
            std::erase_if(some, [this](uint64_t number) { return unscanned.erase(number) == 0; });
            co_await examine_piece(std::move(some));
        }
    }
    co_return co_await end_scan();
}

Task<Result<void>> SlotPool::Impl::begin_scan(std::vector<std::vector<uint64_t>>& numbers)
{
    std::function<Result<std::vector<std::vector<uint64_t>>>()> list = [files = files] { return list_directories(files); };
    auto listing = co_await in_pool(threads, std::move(list));
    if (!listing)
        co_return std::move(listing.error());
    numbers = *std::move(listing);
    std::function<Result<KnownFacts>()> read = [read_from = journal] { return read_from->read(); };
    auto facts = co_await in_pool(threads, std::move(read));
    if (!facts)
        co_return std::move(facts.error());
    known_facts = *std::move(facts);
    // Every message left a fact, so a new slot's ids are later than any before, even when the clock was set back.
    note_latest(known_facts.latest_us());
    for (unsigned directory = 0; directory < directory_count; ++directory) {
        for (const uint64_t number : numbers[directory])
            next_number[directory] = std::max(next_number[directory], number + directory_count);
        unscanned.insert(numbers[directory].begin(), numbers[directory].end());
    }
    listed = true;
    changed.notify_all();

    // What was written before a crash of programs only is in memory, perhaps not on disk yet. It is before
    // anything is marked in it.
    std::function<Result<void>()> sync = [used = &disk, path = files.directory()] { return sync_file_system(*used, path); };
    co_return co_await in_pool(threads, std::move(sync));
}

Task<void> SlotPool::Impl::examine_piece(std::vector<uint64_t> numbers)
{
    std::function<std::vector<Examined>()> look = [files = files, numbers] { return examine_all(files, numbers); };
    auto all = co_await in_pool(threads, std::move(look));
    for (Examined& one : all) {
        if (one.found)
            found_message(*std::move(one.found), Arrival::Scanned);
        else
            cannot_read(one.number, Arrival::Scanned, one.found.error());
    }
}

// The journal will be written over from its start: what it said must be in the files first, or be kept.
Task<Result<void>> SlotPool::Impl::end_scan()
{
    size_t written = 0;
    for (const uint64_t number : std::exchange(fresh, {})) {
        write_that_known(number);
        if (++written % examined_at_a_time == 0)
            co_await sleep_for(loop, Duration());
    }
    known_facts.keep_only([this](uint64_t number) { return unread.count(number) > 0 || locked.count(number) > 0; });
    std::function<Result<void>()> end = [used = &disk, path = files.directory(), kept = facts_to_keep()] {
        return sync_all(*used, path, kept);
    };
    auto synced = co_await in_pool(threads, std::move(end));
    CO_CHECK(std::move(synced));
    scanned = true;
    changed.notify_all();
    flush_later();
    co_return Result<void>();
}

// ---- one slot

void SlotPool::Impl::examine_later(uint64_t number, Arrival how)
{
    examining.insert(number);
    const auto work = std::make_shared<Examined>(Examined{number, SlotFiles::Found()}); // owners: the two functions
    threads.submit([work, files = files, number] { work->found = files.examine(number, true); },
                   [work, self = shared_from_this(), number, how] {
                       self->examining.erase(number);
                       if (!self->listener)
                           return;
                       if (work->found)
                           self->found_message(*std::move(work->found), how);
                       else
                           self->cannot_read(number, how, work->found.error());
                   });
}

// Not free, not lost: looked at again, as long as it takes.
void SlotPool::Impl::cannot_read(uint64_t number, Arrival how, const Error& why)
{
    if (why.kind() == ErrorKind::NotFound)
        return;
    if (!unread.emplace(number, how).second)
        return;
    log::error("queue file ", number, " cannot be read now, it is tried again: ", why.full_text());
    look_again_later();
}

void SlotPool::Impl::recheck_later(uint64_t number, Arrival how)
{
    locked.emplace(number, how);
    if (!locked_timer.active())
        locked_timer.set(loop.now() + limits.locked_recheck);
}

void SlotPool::Impl::examine_locked()
{
    for (const auto& [number, how] : std::exchange(locked, {}))
        examine_later(number, how);
}

void SlotPool::Impl::found_message(SlotFiles::Found found, Arrival how)
{
    Examination& examination = found.examination;
    const uint64_t number = found.number;
    const bool was_unread = unread.erase(number) > 0;
    if (!found.exists || live.count(number) > 0 || undone.count(number) > 0)
        return;
    if (found.locked) {
        recheck_later(number, how);
        return;
    }
    if (was_unread)
        log::info("queue file ", number, " can be read again");
    note_latest(examination.last_us);
    const std::vector<Fact> facts = known_facts.of(number, examination.last_us);
    Verdict verdict = examination.verdict;
    if (has(facts, FactKind::Retired))
        verdict = Verdict::Free; // the header's end was not on disk yet, the journal was
    else if (verdict == Verdict::Incomplete && !facts.empty())
        verdict = Verdict::Damaged; // qmgr had it, so its commit had ended
    known_facts.forget(number);
    if (broken.erase(number) > 0 && verdict != Verdict::Complete) {
        quarantine(number, "", "writing to it failed");
        return;
    }
    if (verdict == Verdict::Damaged) {
        quarantine(number, examination.id, examination.reason);
        return;
    }
    if (verdict == Verdict::Complete) {
        apply_facts(examination.message, facts);
        const auto& states = examination.message.states;
        if (states.empty() || !std::all_of(states.begin(), states.end(), is_settled)) {
            adopt(std::move(examination.message), how);
            return;
        }
    }
    if (verdict == Verdict::Incomplete)
        log::warning(examination.id, ": dropped: its arrival was interrupted and never acknowledged (",
                     examination.reason, ")");
    const RetiredSlot slot{number, examination.last_us, examination.file_size, false};
    if (examination.verdict == Verdict::Free && !scanned && how != Arrival::Scanned) {
        retired.push_back(slot); // out of turn: that it is free may not be on disk before the scan's end
        return;
    }
    if (examination.verdict == Verdict::Free) {
        make_free(number, examination.last_us, examination.file_size);
        return;
    }
    note_fact(Fact(FactKind::Retired, number, examination.last_us));
    write_end(slot);
}

void SlotPool::Impl::note_latest(int64_t id_us)
{
    if (id_us < wall_clock_us() + ten_years_us) // else no clock has been like that
        latest_us = std::max(latest_us, id_us);
}

// Marks that the journal has and the file may not have.
void SlotPool::Impl::apply_facts(StoredMessage& message, const std::vector<Fact>& facts)
{
    InPlace marks;
    for (const Fact& fact : facts) {
        const auto state = static_cast<RecipientState>(fact.state);
        if (fact.kind != FactKind::Marked || fact.index >= message.states.size() || !is_valid(state))
            continue;
        RecipientState& now = message.states[fact.index];
        // The two journal files have no order: a state only moves on, Pending, Failed or untold, settled.
        if (now == state || is_settled(now) || state == RecipientState::Pending)
            continue;
        now = state;
        marks.marks.emplace_back(fact.index, state);
    }
    if (marks.marks.empty())
        return;
    marks.known = true;
    message.known = true;
    const auto written = write_in_place(message.number, marks, message.states_offset);
    if (written)
        return;
    note_undone(message.number, written.error());
    undone.emplace(message.number, Undone{std::move(marks), message.states_offset, *time_of(message.id()), std::nullopt});
}

void SlotPool::Impl::make_free(uint64_t number, int64_t last_us, uint64_t file_size)
{
    if (file_size > limits.slot_size) {
        retired.push_back(RetiredSlot{number, last_us, file_size, false});
        flush_later();
        return;
    }
    free.push_back(FreeSlot{number, std::clamp<int64_t>(last_us, 0, INT64_MAX / 2)});
    changed.notify_one();
    trim_later();
}

} // namespace posthouse::queue
