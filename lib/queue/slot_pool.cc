// SlotPool: messages and what becomes of them. See slot_pool.h, slot_pool_impl.h.
#include "lib/queue/slot_pool.h"

#include "lib/base/cat.h"
#include "lib/base/time.h"
#include "lib/log/log.h"
#include "lib/queue/queue_id.h"
#include "lib/queue/slot_pool_impl.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <functional>
#include <sys/stat.h>

namespace posthouse::queue {

namespace {

constexpr int64_t million = 1000000;
constexpr Duration settle_timeout = Duration::seconds(30);

void log_if_failed(const Result<void>& outcome, std::string_view what, uint64_t number)
{
    if (!outcome)
        log::error("queue file ", number, ": cannot write ", what, ": ", outcome.error().full_text());
}

} // namespace

SlotPool::Impl::Impl(Loop& its_loop, ThreadPool& its_threads, std::string directory, SlotPoolLimits its_limits,
                     QueueListener& its_listener, Disk& its_disk, std::unique_ptr<MarkJournal> its_journal)
    : loop(its_loop), threads(its_threads), files(std::move(directory)), limits(its_limits), listener(&its_listener),
      disk(its_disk), journal(std::move(its_journal)), batch(its_limits.create_batch), changed(its_loop),
      flush_timer(its_loop, [this] { flush(); }), locked_timer(its_loop, [this] { examine_locked(); })
{
}

// ---- messages come

void SlotPool::Impl::adopt(StoredMessage message, Arrival how)
{
    const auto id_us = time_of(message.id());
    LiveMessage entry;
    entry.id_us = id_us.value_or(0);
    entry.states_offset = message.states_offset;
    entry.recipients = static_cast<uint32_t>(message.envelope.recipients.size());
    entry.known = message.known;
    entry.file_size = message.file_size;
    live.emplace(message.number, entry);
    latest_us = std::max(latest_us, entry.id_us);
    if (!message.known) {
        fresh.insert(message.number);
        note_fact(Fact(FactKind::Adopted, message.number, entry.id_us));
    }
    if (listener)
        listener->message_found(std::move(message), how);
}

void SlotPool::Impl::slot_committed(CommittedMessage message) { take_notice(std::move(message), Arrival::Own); }

void SlotPool::Impl::take_notice(CommittedMessage message, Arrival how)
{
    leased.erase(message.number);
    StoredMessage stored;
    stored.number = message.number;
    stored.content = message.content;
    stored.states_offset = message.states_offset;
    stored.states.assign(message.envelope.recipients.size(), RecipientState::Pending);
    stored.held = message.envelope.hold;
    stored.next_attempt_us = wall_clock_us();
    stored.file_size = std::max(limits.slot_size, message.states_offset + message.envelope.recipients.size());
    stored.envelope = std::move(message.envelope);
    adopt(std::move(stored), how);
}

void SlotPool::Impl::slot_returned(LeasedSlot slot, UniqueFd file)
{
    file.reset();
    leased.erase(slot.number);
    make_free(slot.number, slot.not_before_us - 1, 0);
}

void SlotPool::Impl::slot_dropped(uint64_t number, bool broken)
{
    leased.erase(number);
    if (broken)
        quarantine(number, "", "writing to it failed");
    else
        examine_later(number, Arrival::Examined);
}

// ---- messages change

SlotPool::Impl::LiveMessage* SlotPool::Impl::find_live(uint64_t number)
{
    const auto found = live.find(number);
    return found == live.end() ? nullptr : &found->second;
}

UniqueFd SlotPool::Impl::open_to_change(uint64_t number)
{
    auto file = files.open(number, O_WRONLY);
    if (file)
        return *std::move(file);
    log::error("queue file ", number, ": ", file.error().full_text());
    return UniqueFd();
}

void SlotPool::Impl::note_fact(const Fact& fact)
{
    if (journal_broken)
        return;
    journal->add(fact);
    flush_later();
}

bool SlotPool::Impl::has_unwritten_facts() const { return flushing || journal->has_pending(); }

void SlotPool::Impl::sync_in_background(UniqueFd file)
{
    // Owner: the function below, which the pool keeps until it has run.
    const auto shared = std::make_shared<UniqueFd>(std::move(file));
    threads.submit(
        [shared, used = &disk] {
            if (used->fdatasync(shared->get()) != 0)
                log::error("sync queue file: ", disk_error("fdatasync", errno).full_text());
        },
        [shared] {});
}

void SlotPool::Impl::retire(uint64_t number)
{
    const LiveMessage* message = find_live(number);
    if (!message)
        return;
    if (const UniqueFd file = open_to_change(number))
        log_if_failed(write_free(disk, file.get()), "its end", number);
    note_fact(Fact(FactKind::Retired, number, message->id_us));
    retired.push_back(RetiredSlot{number, message->id_us, message->file_size, too_many_slots()});
    fresh.erase(number);
    live.erase(number);
    flush_later();
}

void SlotPool::Impl::quarantine(uint64_t number, const std::string& id, const std::string& why)
{
    fresh.erase(number);
    live.erase(number);
    // Blocks for two directory syncs: rare enough.
    const auto moved = files.set_aside(number, id);
    const std::string_view name = id.empty() ? std::string_view("no message") : std::string_view(id);
    if (moved)
        log::error("damaged queue file ", number, " (", name, "): ", why, ": kept as ", *moved);
    else
        log::error("damaged queue file ", number, " (", name, "): ", why, ": cannot be moved: ",
                   moved.error().full_text());
    if (listener)
        listener->message_damaged(number, id);
}

// ---- the public functions

SlotPool::SlotPool(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

SlotPool::~SlotPool()
{
    impl_->flush_timer.cancel();
    impl_->locked_timer.cancel();
    impl_->listener = nullptr;
    impl_->lock.reset();
}

Result<std::unique_ptr<SlotPool>> SlotPool::open(Loop& loop, ThreadPool& threads, const std::string& queue_directory,
                                                 SlotPoolLimits limits, QueueListener& listener, Disk* disk,
                                                 UniqueFd lock)
{
    Disk& used = disk ? *disk : Disk::system();
    RETURN_IF_ERROR(SlotFiles(queue_directory).make_directories());
    if (!lock) {
        auto own = SlotFiles(queue_directory).lock_queue(Duration());
        if (!own)
            return std::move(own.error());
        lock = *std::move(own);
    }
    auto journal = MarkJournal::open(used, cat(queue_directory, '/', mail_directory), limits.journal_size);
    if (!journal)
        return std::move(journal.error());
    auto impl = std::make_shared<Impl>(loop, threads, queue_directory, limits, listener, used, *std::move(journal));
    impl->lock = std::move(lock);
    return std::unique_ptr<SlotPool>(new SlotPool(std::move(impl)));
}

Task<Result<void>> SlotPool::scan() { return impl_->scan(); }

Task<void> SlotPool::scanned()
{
    while (!impl_->scanned)
        (void)co_await impl_->changed.wait(Deadline::never());
}

uint64_t SlotPool::slot_size() const { return impl_->limits.slot_size; }

void SlotPool::claim(HolderId holder, const std::vector<uint64_t>& numbers)
{
    for (const uint64_t number : numbers) {
        // Only what nobody else has an opinion about; the rest stays as it is.
        if (impl_->locked.erase(number) > 0 || impl_->examining.erase(number) > 0)
            impl_->leased[number] = Impl::LeasedSlotState{holder, 0};
    }
}

bool SlotPool::committed(HolderId holder, CommittedMessage message)
{
    const auto found = impl_->leased.find(message.number);
    const auto id_us = time_of(message.envelope.id);
    const uint64_t behind_content = header_size + message.content.size;
    const bool plausible = found != impl_->leased.end() && found->second.holder == holder && id_us &&
                           *id_us >= found->second.not_before_us && number_of(message.envelope.id) == message.number &&
                           message.content.offset == header_size && message.states_offset >= behind_content &&
                           message.states_offset - behind_content <= largest_envelope;
    if (!plausible) {
        // A message that was committed while its holder had no qmgr: the scan may have met it locked.
        if (impl_->locked.erase(message.number) > 0)
            impl_->examine_later(message.number, Arrival::Examined);
        if (found != impl_->leased.end() && found->second.holder == holder) {
            impl_->leased.erase(found);
            impl_->examine_later(message.number, Arrival::Examined);
        }
        return false;
    }
    impl_->take_notice(std::move(message), Arrival::Noticed);
    return true;
}

void SlotPool::dropped(HolderId holder, uint64_t number, bool broken)
{
    const auto found = impl_->leased.find(number);
    if (found != impl_->leased.end() && found->second.holder == holder)
        impl_->slot_dropped(number, broken);
}

void SlotPool::holder_gone(HolderId holder)
{
    std::vector<uint64_t> numbers;
    for (const auto& [number, state] : impl_->leased) {
        if (state.holder == holder)
            numbers.push_back(number);
    }
    for (const uint64_t number : numbers) {
        impl_->leased.erase(number);
        impl_->examine_later(number, Arrival::Examined);
    }
}

void SlotPool::mark(uint64_t number, uint32_t index, RecipientState state)
{
    Impl::LiveMessage* message = impl_->find_live(number);
    if (!message || index >= message->recipients)
        log::panic(cat("mark: no recipient ", index, " in queue file ", number));
    if (const UniqueFd file = impl_->open_to_change(number)) {
        if (!message->known)
            log_if_failed(write_known(impl_->disk, file.get()), "progress", number);
        log_if_failed(write_state(impl_->disk, file.get(), message->states_offset, index, state), "a mark", number);
    }
    message->known = true;
    impl_->fresh.erase(number);
    impl_->note_fact(
        Fact(FactKind::Marked, number, message->id_us, index, static_cast<uint8_t>(state)));
}

void SlotPool::set_known(uint64_t number)
{
    Impl::LiveMessage* message = impl_->find_live(number);
    if (!message || message->known)
        return;
    if (const UniqueFd file = impl_->open_to_change(number))
        log_if_failed(write_known(impl_->disk, file.get()), "progress", number);
    message->known = true;
    impl_->fresh.erase(number);
}

void SlotPool::set_held(uint64_t number, bool held)
{
    if (UniqueFd file = impl_->open_to_change(number)) {
        log_if_failed(write_hold(impl_->disk, file.get(), held), "hold", number);
        impl_->sync_in_background(std::move(file));
    }
}

void SlotPool::set_expire(uint64_t number, Expire expire)
{
    if (UniqueFd file = impl_->open_to_change(number)) {
        log_if_failed(write_expire(impl_->disk, file.get(), expire), "expire", number);
        impl_->sync_in_background(std::move(file));
    }
}

void SlotPool::set_warned(uint64_t number)
{
    if (const UniqueFd file = impl_->open_to_change(number))
        log_if_failed(write_warned(impl_->disk, file.get()), "warned", number);
}

void SlotPool::set_next_attempt(uint64_t number, int64_t wall_us)
{
    const timespec when{static_cast<time_t>(wall_us / million), static_cast<long>(wall_us % million * 1000)};
    const timespec times[2] = {when, when};
    const std::string name = impl_->files.path(number);
    if (::utimensat(AT_FDCWD, name.c_str(), times, 0) != 0)
        log::error("queue file ", number, ": ", Error::system("set the next attempt", errno).full_text());
}

void SlotPool::retire(uint64_t number) { impl_->retire(number); }

void SlotPool::quarantine(uint64_t number, const std::string& why)
{
    const Impl::LiveMessage* message = impl_->find_live(number);
    if (message)
        impl_->quarantine(number, make_id(message->id_us, number), why);
}

bool SlotPool::is_live(uint64_t number, const std::string& id) const
{
    const Impl::LiveMessage* message = impl_->find_live(number);
    return message && make_id(message->id_us, number) == id;
}

Result<UniqueFd> SlotPool::open_message(uint64_t number) const { return impl_->files.open(number, O_RDONLY); }

Task<Result<StoredMessage>> SlotPool::load(uint64_t number, Depth depth) const
{
    std::function<Result<StoredMessage>()> read = [files = impl_->files, number, depth]() -> Result<StoredMessage> {
        const auto file = files.open(number, O_RDONLY);
        if (!file)
            return file.error();
        auto examination = examine_file(file->get(), number, depth);
        if (!examination)
            return std::move(examination.error());
        if (examination->verdict != Verdict::Complete)
            return Error(ErrorKind::Corrupt, examination->reason.empty() ? "no message" : examination->reason);
        return std::move(examination->message);
    };
    co_return co_await in_pool(impl_->threads, std::move(read));
}

Task<Result<std::unique_ptr<NewMessage>>> SlotPool::begin(Deadline)
{
    auto files = co_await lease(1, 0);
    if (!files)
        co_return std::move(files.error());
    LeasedFile& file = files->front();
    const SlotMessageLimits limits(impl_->limits.slot_size, impl_->limits.slot_size);
    std::unique_ptr<NewMessage> message = std::make_unique<SlotMessage>(
        impl_, impl_->threads, impl_->disk, file.slot, std::move(file.file), limits);
    co_return message;
}

Task<Result<void>> SlotPool::settle()
{
    impl_->flush();
    while (impl_->has_unwritten_facts()) {
        const bool in_time = co_await impl_->changed.wait(Deadline::after(settle_timeout));
        if (!in_time)
            co_return Error::timed_out("sync mark journal");
        impl_->flush();
    }
    if (impl_->journal_broken)
        co_return Error(ErrorKind::Temporary, "4.3.0", "the mark journal cannot be written");
    co_return Result<void>();
}

SlotPool::Counts SlotPool::counts() const
{
    Counts counts;
    counts.free = impl_->free.size();
    counts.leased = impl_->leased.size();
    counts.live = impl_->live.size();
    counts.retired = impl_->retired.size() + impl_->retiring;
    return counts;
}

} // namespace posthouse::queue
