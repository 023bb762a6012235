// SlotPool: where free slots come from. Retired ones, once the journal holds that their messages are done;
// else new files, many at a time. See slot_pool_impl.h.
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
        if (impl.scanned) {
            auto files = impl.take_free(count, holder);
            impl.make_supply();
            if (!files.empty())
                co_return files;
            if (!impl.free.empty() && !impl.disk_is_low())
                co_return Error(ErrorKind::Temporary, "4.3.0", "queue file cannot be opened");
            if (impl.disk_is_low())
                co_return Error(ErrorKind::Temporary, "4.3.1", "Insufficient system storage");
            if (waited && impl.create_failed)
                co_return *impl.create_failed;
        }
        const bool in_time = co_await impl.changed.wait(deadline);
        if (!in_time)
            co_return Error(ErrorKind::Temporary, "4.3.0", "no queue file in time");
    }
}

std::vector<LeasedFile> SlotPool::Impl::take_free(size_t count, HolderId holder)
{
    std::vector<LeasedFile> taken;
    while (!free.empty() && taken.size() < count && !disk_is_low()) {
        const FreeSlot slot = free.back(); // the one used last: its pages are in memory
        free.pop_back();
        auto file = files.open(slot.number, O_RDWR);
        if (!file) {
            log::error("queue file ", slot.number, ": ", file.error().full_text());
            if (file.error().kind() == ErrorKind::NotFound)
                continue;
            free.push_back(slot); // out of descriptors: so would the others be
            break;
        }
        const auto locked_now = SlotFiles::lock(file->get());
        if (!locked_now || !*locked_now || is_open_elsewhere(file->get())) { // not closed by its last user yet
            locked.emplace(slot.number, Arrival::Examined);
            if (!locked_timer.active())
                locked_timer.set(loop.now() + limits.locked_recheck);
            continue;
        }
        leased[slot.number] = LeasedSlotState{holder, slot.last_us + 1};
        taken.emplace_back(LeasedSlot(slot.number, slot.last_us + 1), *std::move(file));
    }
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

// ---- new files

// Ahead of need. Retired slots are soon free again: new files only when there are too few of both.
void SlotPool::Impl::make_supply()
{
    if (!scanned || !is_short())
        return;
    if (!retired.empty())
        flush();
    if (free.size() + retired.size() + retiring < limits.create_batch)
        create_batch();
}

void SlotPool::Impl::create_batch()
{
    if (creating || disk_is_low())
        return;
    creating = true;
    create_failed.reset();
    if (free.empty())
        batch = std::min(batch * 2, largest_batch);
    else
        batch = limits.create_batch;
    // All in one directory: one sync. Numbers count up in steps of the number of directories.
    uint64_t& next = next_number[next_directory];
    if (next == 0)
        next = directory_count + next_directory;
    next_directory = (next_directory + 1) % directory_count;
    std::vector<uint64_t> numbers;
    for (size_t i = 0; i < batch; ++i, next += directory_count)
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
    if (!result.outcome) {
        log::error(result.outcome.error().full_text());
        create_failed = result.outcome.error();
    }
    changed.notify_all();
}

bool SlotPool::Impl::is_short() const { return free.empty() || free.size() < limits.create_batch / 2; }

bool SlotPool::Impl::too_many_slots() const { return free.size() + retired.size() + retiring >= limits.pool_size; }

// ---- the journal's sync, which makes retired slots free

void SlotPool::Impl::flush_later()
{
    if (listener && scanned && !flushing && !flush_timer.active())
        flush_timer.set(loop.now() + limits.journal_delay);
}

void SlotPool::Impl::flush()
{
    if (flushing || !scanned || (retired.empty() && !journal->has_pending()))
        return;
    flushing = true;
    flush_timer.cancel();
    struct Work {
        MarkJournal::Flush facts;
        std::vector<RetiredSlot> slots;
        bool reusable;
        Result<void> outcome;
    };
    const auto work = std::make_shared<Work>(); // owners: the two functions
    work->facts = journal->take_flush();
    work->slots = std::exchange(retired, {});
    work->reusable = !journal_broken;
    retiring = work->slots.size();
    threads.submit(
        [work, files = files, slot_size = limits.slot_size] {
            work->outcome = work->facts.run();
            for (RetiredSlot& slot : work->slots) {
                // Without the fact on disk the file must not be used again: see queue.h.
                slot.remove = slot.remove || !work->outcome || !work->reusable;
                const auto tidied = slot.remove                  ? files.remove(slot.number)
                                    : slot.file_size > slot_size ? files.truncate(slot.number, slot_size)
                                                                 : Result<void>();
                if (!tidied) {
                    log::error(tidied.error().full_text());
                    slot.remove = true; // not used again in this process's life
                }
            }
        },
        [work, self = shared_from_this()] { self->flushed(work->outcome, std::move(work->slots)); });
}

void SlotPool::Impl::flushed(const Result<void>& outcome, std::vector<RetiredSlot> slots)
{
    flushing = false;
    retiring = 0;
    if (!listener)
        return;
    if (!outcome && !std::exchange(journal_broken, true))
        log::error("queue files will not be used again until the next start: ", outcome.error().full_text());
    for (const RetiredSlot& slot : slots) {
        if (!slot.remove)
            free.push_back(FreeSlot{slot.number, slot.last_us});
    }
    changed.notify_all();
    if (journal->wants_switch())
        checkpoint();
    if (is_short())
        flush(); // somebody waits for what was retired meanwhile
    else if (!retired.empty() || journal->has_pending())
        flush_later();
}

// Everything that the journal says is brought into the queue files, so that its older file can be
// written over.
void SlotPool::Impl::checkpoint()
{
    if (std::exchange(checkpointing, true))
        return;
    for (const uint64_t number : std::exchange(fresh, {})) {
        LiveMessage* message = find_live(number);
        const UniqueFd file = message ? open_to_change(number) : UniqueFd();
        if (file && write_known(disk, file.get()))
            message->known = true;
    }
    const auto outcome = std::make_shared<Result<void>>(); // owners: the two functions
    threads.submit(
        [outcome, path = files.directory(), used = &disk] {
            const UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
            if (!directory || used->syncfs(directory.get()) != 0)
                *outcome = disk_error("sync queue file system", errno);
        },
        [outcome, self = shared_from_this()] {
            self->checkpointing = false;
            if (*outcome)
                self->journal->switch_files();
            else // the journal grows until it works
                log::error(outcome->error().full_text());
        });
}

} // namespace posthouse::queue
