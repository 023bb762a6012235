// SlotPool: finding messages in slots, at start and when a holder went away. See slot_pool_impl.h and the
// state table in queue.h.
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/slot_pool_impl.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <functional>

namespace posthouse::queue {

namespace {

constexpr size_t examined_at_a_time = 500;

Result<void> sync_file_system(Disk& disk, const std::string& directory)
{
    const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || disk.syncfs(fd.get()) != 0)
        return disk_error("sync queue file system", errno);
    return Result<void>();
}

bool has(const std::vector<Fact>& facts, FactKind kind)
{
    return std::any_of(facts.begin(), facts.end(), [kind](const Fact& fact) { return fact.kind == kind; });
}

std::vector<SlotFiles::Found> examine_all(const SlotFiles& files, const std::vector<uint64_t>& numbers)
{
    std::vector<SlotFiles::Found> all;
    for (const uint64_t number : numbers) {
        auto found = files.examine(number, false);
        if (found)
            all.push_back(*std::move(found));
        else // it stays where it is, for the next start
            log::error("queue file ", number, " cannot be read: ", found.error().full_text());
    }
    return all;
}

} // namespace

Task<Result<void>> SlotPool::Impl::scan()
{
    // What was written before a crash of programs only is in memory, perhaps not on disk yet. It is before
    // anything is marked in it.
    std::function<Result<KnownFacts>()> begin = [self = shared_from_this()]() -> Result<KnownFacts> {
        RETURN_IF_ERROR(sync_file_system(self->disk, self->files.directory()));
        return self->journal->read();
    };
    auto facts = co_await in_pool(threads, std::move(begin));
    if (!facts)
        co_return std::move(facts.error());
    known_facts = *std::move(facts);
    latest_us = known_facts.latest_us();

    for (unsigned directory = 0; directory < directory_count; ++directory) {
        std::function<Result<std::vector<uint64_t>>()> list = [files = files, directory] { return files.list(directory); };
        auto numbers = co_await in_pool(threads, std::move(list));
        if (!numbers)
            co_return std::move(numbers.error());
        for (const uint64_t number : *numbers)
            next_number[directory] = std::max(next_number[directory], number + directory_count);
        for (size_t at = 0; at < numbers->size(); at += examined_at_a_time) {
            const size_t end = std::min(numbers->size(), at + examined_at_a_time);
            const std::vector<uint64_t> some(numbers->begin() + static_cast<ptrdiff_t>(at),
                                             numbers->begin() + static_cast<ptrdiff_t>(end));
            std::function<std::vector<SlotFiles::Found>()> look = [files = files, some] { return examine_all(files, some); };
            auto all = co_await in_pool(threads, std::move(look));
            for (SlotFiles::Found& found : all)
                found_message(std::move(found), Arrival::Scanned);
        }
    }

    // The journal will be written over from its start: what it said must be in the files first.
    for (const uint64_t number : std::exchange(fresh, {})) {
        LiveMessage* message = find_live(number);
        const UniqueFd file = message ? open_to_change(number) : UniqueFd();
        if (file && write_known(disk, file.get()))
            message->known = true;
    }
    std::function<Result<void>()> end = [used = &disk, path = files.directory()] { return sync_file_system(*used, path); };
    auto synced = co_await in_pool(threads, std::move(end));
    CO_CHECK(std::move(synced));
    known_facts = KnownFacts();
    scanned = true;
    changed.notify_all();
    flush_later();
    co_return Result<void>();
}

// ---- one slot

void SlotPool::Impl::examine_later(uint64_t number, Arrival how)
{
    examining.insert(number);
    struct Work {
        Result<SlotFiles::Found> found = SlotFiles::Found();
    };
    const auto work = std::make_shared<Work>(); // owners: the two functions
    threads.submit([work, files = files, number] { work->found = files.examine(number, true); },
                   [work, self = shared_from_this(), number, how] {
                       // Not wanted any more when a holder has claimed it meanwhile.
                       if (!self->listener || self->examining.erase(number) == 0)
                           return;
                       if (work->found) {
                           self->found_message(*std::move(work->found), how);
                           return;
                       }
                       log::error("queue file ", number, ": ", work->found.error().full_text());
                       self->locked.emplace(number, how); // looked at again
                       self->locked_timer.set(self->loop.now() + self->limits.locked_recheck);
                   });
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
    if (!found.exists || live.count(number) > 0)
        return;
    if (found.locked) {
        locked.emplace(number, how);
        if (!locked_timer.active())
            locked_timer.set(loop.now() + limits.locked_recheck);
        return;
    }
    latest_us = std::max(latest_us, examination.last_us);
    const std::vector<Fact> facts = known_facts.of(number, examination.last_us);
    Verdict verdict = examination.verdict;
    if (has(facts, FactKind::Retired))
        verdict = Verdict::Free; // the header's end was not on disk yet, the journal was
    else if (verdict == Verdict::Incomplete && !facts.empty())
        verdict = Verdict::Damaged; // qmgr had it, so its commit had ended
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
    if (examination.verdict != Verdict::Free) {
        const UniqueFd file = open_to_change(number);
        if (!file || !write_free(disk, file.get()))
            return; // left alone until the next start
    }
    make_free(number, examination.last_us, examination.file_size);
}

// Marks that the journal has and the file may not have.
void SlotPool::Impl::apply_facts(StoredMessage& message, const std::vector<Fact>& facts)
{
    UniqueFd file;
    for (const Fact& fact : facts) {
        const auto state = static_cast<RecipientState>(fact.state);
        if (fact.kind != FactKind::Marked || fact.index >= message.states.size() || !is_valid(state))
            continue;
        RecipientState& now = message.states[fact.index];
        // The two journal files have no order: a state only moves on, Pending, Failed, settled.
        if (now == state || is_settled(now) || state == RecipientState::Pending)
            continue;
        now = state;
        if (!file)
            file = open_to_change(message.number);
        const bool written = file && write_known(disk, file.get()) &&
                             write_state(disk, file.get(), message.states_offset, fact.index, state);
        if (!written)
            log::error(message.id(), ": cannot bring a mark into its file");
        message.known = true;
    }
}

void SlotPool::Impl::make_free(uint64_t number, int64_t last_us, uint64_t file_size)
{
    const bool remove = too_many_slots();
    if (!remove && file_size <= limits.slot_size) {
        free.push_back(FreeSlot{number, last_us});
        changed.notify_one();
        return;
    }
    retired.push_back(RetiredSlot{number, last_us, file_size, remove});
    flush_later();
}

} // namespace posthouse::queue
