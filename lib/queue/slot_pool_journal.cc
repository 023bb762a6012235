// SlotPool: the mark journal's work. Facts about messages become durable, then retired slots free; when the journal is
// full, what it says is brought into the files (a checkpoint). See slot_pool_impl.h, mark_journal.h.
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/slot_pool_impl.h"

#include <cerrno>
#include <fcntl.h>

namespace posthouse::queue {

void SlotPool::Impl::note_fact(const Fact& fact)
{
    if (journal_broken)
        return;
    journal->add(fact);
    flush_later();
}

bool SlotPool::Impl::has_unwritten_facts() const { return flushing || journal->has_pending(); }

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
        std::vector<Error> troubles; // for the log, which belongs to the loop's thread
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
                    work->troubles.push_back(tidied.error());
                    slot.remove = true; // not used again in this process's life
                }
            }
        },
        [work, self = shared_from_this()] {
            for (const Error& trouble : work->troubles)
                log::error(trouble.full_text());
            self->flushed(work->outcome, std::move(work->slots));
        });
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
    trim_later();
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
    for (const uint64_t number : std::exchange(fresh, {}))
        write_that_known(number);
    const auto outcome = std::make_shared<Result<void>>(); // owners: the two functions
    threads.submit(
        [outcome, path = files.directory(), used = &disk, kept = facts_to_keep()] {
            *outcome = sync_all(*used, path, kept);
        },
        [outcome, self = shared_from_this()] {
            self->checkpointing = false;
            if (*outcome)
                self->journal->switch_files();
            else // the journal grows until it works
                log::error(outcome->error().full_text());
        });
}

void SlotPool::Impl::write_that_known(uint64_t number)
{
    LiveMessage* message = find_live(number);
    if (!message)
        return;
    InPlace adopted;
    adopted.known = true;
    message->known = true;
    change(number, std::move(adopted));
}

Result<void> SlotPool::Impl::sync_all(Disk& disk, const std::string& directory, const std::vector<Fact>& kept)
{
    RETURN_IF_ERROR(sync_file_system(disk, directory));
    return keep_facts(cat(directory, '/', mail_directory), kept);
}

// What cannot be in the files: of slots that could not be read since the start, or not be written.
std::vector<Fact> SlotPool::Impl::facts_to_keep() const
{
    std::vector<Fact> facts = known_facts.all();
    const std::vector<Fact> later = undone_facts();
    facts.insert(facts.end(), later.begin(), later.end());
    return facts;
}

Result<void> sync_file_system(Disk& disk, const std::string& directory)
{
    const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || disk.syncfs(fd.get()) != 0)
        return disk_error("sync queue file system", errno);
    return Result<void>();
}

} // namespace posthouse::queue
