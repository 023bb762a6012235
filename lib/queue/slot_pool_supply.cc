// SlotPool: where free slots come from and go to. Retired ones, once the journal holds that their messages are done
// (slot_pool_journal.cc); else new files, many at a time. Those that were not needed for a while are unlinked again: not
// sooner, or a busy server would make and unlink a file for each message. See slot_pool_impl.h.
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/slot_pool_impl.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>

namespace posthouse::queue {

namespace {

constexpr Duration lease_timeout = Duration::seconds(30);
constexpr Duration space_is_fresh = Duration::seconds(1);
constexpr size_t largest_batch = 256;
constexpr HolderId own = 0; // qmgr itself
// Slots that stay for qmgr's own messages when no file can be made: a bounce lets the bounced message go.
constexpr size_t kept_for_own = 4;
// New files take no more than this part of the space that is left: the log and the index want some.
constexpr uint64_t part_of_space = 4;
constexpr size_t unlinked_at_a_time = 200;

// An agent may still read the message that was there (it lost its connection and has not noticed yet), a
// holder may have kept a descriptor after its commit: the next message must meet neither. The kernel grants
// a write lease only to the one who alone has the file open. File systems without leases do not tell.
bool is_open_elsewhere(int fd)
{
    if (::fcntl(fd, F_SETLEASE, F_WRLCK) != 0)
        return errno == EAGAIN;
    (void)::fcntl(fd, F_SETLEASE, F_UNLCK);
    return false;
}

} // namespace

// ---- leases

Task<Result<std::vector<LeasedFile>>> SlotPool::lease(size_t count, HolderId holder)
{
    Impl& impl = *impl_;
    const Deadline deadline = Deadline::after(lease_timeout);
    for (bool waited = false;; waited = true) {
        if (impl.listed) {
            auto files = impl.take_free(count, holder);
            impl.make_supply(holder);
            if (!files.empty())
                co_return files;
            if (!impl.has_space_for(holder))
                co_return Error(ErrorKind::Temporary, "4.3.1", "Insufficient system storage");
            if (waited && impl.create_failed)
                co_return *impl.create_failed;
            if (!impl.free.empty() && !impl.create_failed)
                co_return Error(ErrorKind::Temporary, "4.3.0", "queue file cannot be opened");
        }
        const bool in_time = co_await impl.changed.wait(deadline);
        if (!in_time)
            co_return Error(ErrorKind::Temporary, "4.3.0", "no queue file in time");
    }
}

std::vector<LeasedFile> SlotPool::Impl::take_free(size_t count, HolderId holder)
{
    std::vector<LeasedFile> taken;
    if (!has_space_for(holder))
        return taken;
    const size_t left_alone = holder != own && create_failed ? kept_for_own : 0;
    while (free.size() > left_alone && taken.size() < count) {
        const FreeSlot slot = free.back(); // the one used last: its pages are in memory
        auto file = files.open(slot.number, O_WRONLY);
        if (!file && (file.error().errno_value() == EMFILE || file.error().errno_value() == ENFILE)) {
            log::error("queue file ", slot.number, ": ", file.error().full_text());
            break; // so would the others be
        }
        free.pop_back();
        if (!file) {
            cannot_read(slot.number, Arrival::Examined, file.error());
            continue;
        }
        const auto locked_now = SlotFiles::lock(file->get());
        if (!locked_now || !*locked_now || is_open_elsewhere(file->get())) { // not closed by its last user yet
            recheck_later(slot.number, Arrival::Examined);
            continue;
        }
        leased[slot.number] = LeasedSlotState{holder, slot.last_us + 1};
        taken.emplace_back(LeasedSlot(slot.number, slot.last_us + 1), *std::move(file));
    }
    least_free = std::min(least_free, free.size());
    return taken;
}

uint64_t SlotPool::free_bytes() const
{
    (void)impl_->disk_is_low(); // looks when the last look is old
    return impl_->free_bytes;
}

bool SlotPool::Impl::disk_is_low()
{
    if (loop.now() >= free_bytes_until) {
        if (const auto bytes = files.free_bytes())
            free_bytes = *bytes;
        free_bytes_until = loop.now() + space_is_fresh;
    }
    return free_bytes < limits.min_free;
}

bool SlotPool::Impl::has_space_for(HolderId holder) { return holder == own || !disk_is_low(); }

// ---- new files

// Ahead of need: half a batch lasts while the next one is made. Retired slots are soon free again, so new files only
// when there are too few of both.
void SlotPool::Impl::make_supply(HolderId holder)
{
    if (!listed)
        return;
    if (is_short() && !retired.empty())
        flush();
    const size_t soon = scanned ? retired.size() + retiring : 0;
    if (free.size() + soon < std::max<size_t>(batch / 2, 1) && has_space_for(holder))
        create_batch();
}

void SlotPool::Impl::create_batch()
{
    if (creating)
        return;
    creating = true;
    if (loop.now() >= quick_until)
        batch = limits.create_batch;
    else if (free.empty())
        batch = std::min(batch * 2, largest_batch);
    quick_until = loop.now() + limits.surplus_delay;
    (void)disk_is_low(); // looks when the last look is old
    const uint64_t fitting = free_bytes / part_of_space / std::max<uint64_t>(limits.slot_size, 1);
    const size_t count = static_cast<size_t>(std::clamp<uint64_t>(fitting, 1, batch));
    // All in one directory: one sync. Numbers count up in steps of the number of directories.
    uint64_t& next = next_number[next_directory];
    if (next == 0)
        next = directory_count + next_directory;
    next_directory = (next_directory + 1) % directory_count;
    std::vector<uint64_t> numbers;
    for (size_t i = 0; i < count; ++i, next += directory_count)
        numbers.push_back(next);
    const auto result = std::make_shared<SlotFiles::Created>(); // owners: the two functions
    threads.submit([result, files = files, numbers, size = limits.slot_size] { *result = files.create(numbers, size); },
                   [result, self = shared_from_this()] { self->created(std::move(*result)); });
}

void SlotPool::Impl::created(SlotFiles::Created result)
{
    creating = false;
    if (!listener)
        return;
    for (const uint64_t number : result.numbers)
        free.push_back(FreeSlot{number, latest_us});
    const bool failed_before = create_failed.has_value();
    create_failed.reset();
    if (!result.outcome) {
        create_failed = result.outcome.error();
        if (!failed_before) // one line until it works again
            log::error("no more queue files: ", create_failed->full_text());
    } else if (failed_before) {
        log::info("queue files can be made again");
    }
    changed.notify_all();
}

bool SlotPool::Impl::is_short() const { return free.empty() || free.size() < limits.create_batch / 2; }

// ---- files that are not needed

void SlotPool::Impl::trim_later()
{
    if (free.size() <= limits.pool_size || surplus_timer.active())
        return;
    least_free = free.size();
    surplus_timer.set(loop.now() + limits.surplus_delay);
}

void SlotPool::Impl::trim()
{
    if (free.size() > limits.pool_size)
        unlink_some(std::min(least_free, free.size() - limits.pool_size));
    trim_later();
}

// Those that were used longest ago.
void SlotPool::Impl::unlink_some(size_t surplus)
{
    const size_t count = std::min({surplus, free.size(), unlinked_at_a_time});
    if (count == 0)
        return;
    std::vector<uint64_t> numbers;
    for (size_t i = 0; i < count; ++i)
        numbers.push_back(free[i].number);
    free.erase(free.begin(), free.begin() + static_cast<ptrdiff_t>(count));
    const auto troubles = std::make_shared<std::vector<Error>>(); // owners: the two functions
    threads.submit(
        [troubles, files = files, numbers] {
            for (const uint64_t number : numbers)
                if (auto removed = files.remove(number); !removed)
                    troubles->push_back(std::move(removed.error()));
        },
        [troubles, self = shared_from_this(), left = surplus - count] {
            for (const Error& trouble : *troubles) // found again at the next start
                log::error(trouble.full_text());
            if (self->listener)
                self->unlink_some(std::min(left, self->free.size()));
        });
}

} // namespace posthouse::queue
