// SlotPool: changes in place, and trying again what cannot be done at the moment for want of descriptors or because
// of an I/O error. See slot_pool_impl.h.
//
// What is not in the file yet stays in `undone`: the listener reads messages through it (load), the journal has the
// facts, and a checkpoint keeps those facts before the journal is written over (facts_to_keep).
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/queue_id.h"
#include "lib/queue/slot_pool_impl.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>

namespace posthouse::queue {

namespace {

constexpr int64_t million = 1000000;
constexpr size_t retried_at_a_time = 100;
constexpr int longest_retry_delay = 64; // times limits.retry_delay

bool needs_open(const InPlace& change)
{
    return !change.marks.empty() || change.expire || change.held || change.known || change.warned || change.free;
}

void merge(InPlace& into, InPlace later)
{
    into.marks.insert(into.marks.end(), later.marks.begin(), later.marks.end());
    if (later.expire)
        into.expire = later.expire;
    if (later.held)
        into.held = later.held;
    if (later.next_attempt_us)
        into.next_attempt_us = later.next_attempt_us;
    into.known = into.known || later.known;
    into.warned = into.warned || later.warned;
    into.sync = into.sync || later.sync;
}

bool out_of_descriptors(const Error& error)
{
    return error.errno_value() == EMFILE || error.errno_value() == ENFILE;
}

// Numbers of up to `most` entries, those behind `last` first, so that all have their turn.
template <class Map>
std::vector<uint64_t> some_numbers(const Map& map, uint64_t last, size_t most)
{
    std::vector<uint64_t> numbers;
    auto at = map.upper_bound(last);
    for (size_t i = std::min(most, map.size()); i > 0; --i, ++at) {
        if (at == map.end())
            at = map.begin();
        numbers.push_back(at->first);
    }
    return numbers;
}

Result<void> write_flags(Disk& disk, int fd, const InPlace& change)
{
    if (change.held)
        RETURN_IF_ERROR(write_hold(disk, fd, *change.held));
    if (change.expire)
        RETURN_IF_ERROR(write_expire(disk, fd, *change.expire));
    if (change.warned)
        RETURN_IF_ERROR(write_warned(disk, fd));
    return Result<void>();
}

} // namespace

Result<void> SlotPool::Impl::write_in_place(uint64_t number, const InPlace& change, uint64_t states_offset)
{
    if (needs_open(change)) {
        auto file = files.open(number, O_WRONLY);
        if (!file)
            return std::move(file.error());
        const int fd = file->get();
        if (change.free)
            return write_free(disk, fd);
        if (change.known)
            RETURN_IF_ERROR(write_known(disk, fd));
        for (const auto& [index, state] : change.marks)
            RETURN_IF_ERROR(write_state(disk, fd, states_offset, index, state));
        RETURN_IF_ERROR(write_flags(disk, fd, change));
        if (change.sync)
            sync_in_background(*std::move(file));
    }
    if (change.next_attempt_us) {
        const int64_t us = *change.next_attempt_us;
        const timespec when{static_cast<time_t>(us / million), static_cast<long>(us % million * 1000)};
        const timespec times[2] = {when, when};
        const std::string name = files.path(number);
        if (::utimensat(AT_FDCWD, name.c_str(), times, 0) != 0)
            return Error::system(cat("set the next attempt of ", name), errno);
    }
    return Result<void>();
}

void SlotPool::Impl::sync_in_background(UniqueFd file)
{
    struct Work {
        UniqueFd file;
        Result<void> outcome;
    };
    const auto work = std::make_shared<Work>(); // owners: the two functions
    work->file = std::move(file);
    threads.submit(
        [work, used = &disk] {
            if (used->fdatasync(work->file.get()) != 0)
                work->outcome = disk_error("fdatasync", errno);
        },
        [work] {
            if (!work->outcome)
                log::error("sync queue file: ", work->outcome.error().full_text());
        });
}

void SlotPool::Impl::change(uint64_t number, InPlace change)
{
    const LiveMessage* message = find_live(number);
    if (!message)
        return;
    const auto earlier = undone.find(number);
    if (earlier != undone.end()) { // in order
        merge(earlier->second.change, std::move(change));
        return;
    }
    const auto written = write_in_place(number, change, message->states_offset);
    if (written)
        return;
    if (written.error().kind() == ErrorKind::NotFound) {
        log::error("queue file ", number, " is gone: ", written.error().full_text());
        return;
    }
    note_undone(number, written.error());
    undone.emplace(number, Undone{std::move(change), message->states_offset, message->id_us, std::nullopt});
}

// The header's end. The slot is not used again before it is written: the journal alone could be forgotten.
void SlotPool::Impl::write_end(const RetiredSlot& slot)
{
    InPlace end;
    end.free = true;
    const auto written = write_in_place(slot.number, end, 0);
    if (!written && written.error().kind() != ErrorKind::NotFound) {
        note_undone(slot.number, written.error());
        undone.insert_or_assign(slot.number, Undone{std::move(end), 0, slot.last_us, slot});
        return;
    }
    undone.erase(slot.number);
    if (!written) // gone, and no slot any more
        return;
    retired.push_back(slot);
    flush_later();
}

// One line for all that fail until everything is done.
void SlotPool::Impl::note_undone(uint64_t number, const Error& why)
{
    if (undone.empty())
        log::error("queue file ", number, " cannot be changed now, it is tried again: ", why.full_text());
    look_again_later();
}

bool SlotPool::Impl::move_aside(uint64_t number, const std::string& id, const std::string& what)
{
    // Blocks for two directory syncs: rare enough.
    const auto moved = files.set_aside(number, id);
    if (moved)
        log::error("damaged queue file ", what, ": kept as ", *moved);
    else if (unmoved.count(number) == 0)
        log::error("damaged queue file ", what, ": cannot be moved: ", moved.error().full_text());
    return moved || moved.error().kind() == ErrorKind::NotFound;
}

// ---- again

void SlotPool::Impl::look_again_later()
{
    retry_delay = limits.retry_delay;
    retry_timer.set(loop.now() + retry_delay);
}

void SlotPool::Impl::try_again()
{
    size_t done = try_undone();
    for (const uint64_t number : some_numbers(unmoved, retried, retried_at_a_time)) {
        if (const Unmoved& one = unmoved.at(number); move_aside(number, one.id, one.what))
            done += unmoved.erase(number);
    }
    for (const uint64_t number : some_numbers(unread, retried, retried_at_a_time)) {
        if (examining.count(number) == 0)
            examine_later(number, unread[number]);
        retried = number;
    }
    if (undone.empty() && unmoved.empty() && unread.empty())
        return;
    retry_delay = done > 0 ? limits.retry_delay : std::min(retry_delay * 2, limits.retry_delay * longest_retry_delay);
    retry_timer.set(loop.now() + retry_delay);
}

size_t SlotPool::Impl::try_undone()
{
    if (undone.empty())
        return 0;
    size_t done = 0;
    for (const uint64_t number : some_numbers(undone, retried, retried_at_a_time)) {
        const Undone& one = undone.at(number);
        const auto written = write_in_place(number, one.change, one.states_offset);
        if (!written && written.error().kind() != ErrorKind::NotFound) {
            retried = number;
            if (out_of_descriptors(written.error()))
                break; // so would the others be
            continue;
        }
        if (written && one.retired)
            retired.push_back(*one.retired);
        undone.erase(number);
        ++done;
    }
    if (!retired.empty())
        flush_later();
    if (undone.empty())
        log::info("all queue files could be changed");
    return done;
}

// A message that is read while its file lacks something.
void SlotPool::Impl::overlay_undone(StoredMessage& message) const
{
    const auto found = undone.find(message.number);
    if (found == undone.end() || time_of(message.id()) != found->second.id_us)
        return;
    const InPlace& change = found->second.change;
    for (const auto& [index, state] : change.marks)
        message.states.at(index) = state;
    message.known = message.known || change.known;
    message.held = change.held.value_or(message.held);
    message.expire = change.expire.value_or(message.expire);
    message.warned = message.warned || change.warned;
    message.next_attempt_us = change.next_attempt_us.value_or(message.next_attempt_us);
}

std::vector<Fact> SlotPool::Impl::undone_facts() const
{
    std::vector<Fact> facts;
    for (const auto& [number, one] : undone) {
        if (one.change.known)
            facts.emplace_back(FactKind::Adopted, number, one.id_us);
        for (const auto& [index, state] : one.change.marks)
            facts.emplace_back(FactKind::Marked, number, one.id_us, index, static_cast<uint8_t>(state));
        if (one.change.free)
            facts.emplace_back(FactKind::Retired, number, one.id_us);
    }
    return facts;
}

} // namespace posthouse::queue
