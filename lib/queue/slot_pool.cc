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

namespace posthouse::queue {

namespace {

constexpr Duration settle_timeout = Duration::seconds(5); // the files have it all; only a power cut would repeat it
// A holder's clock is ours: an id much later than now (or than it had to be) is an invention.
constexpr int64_t latest_id_us_ahead = 86400 * int64_t{1000000};

bool is_plausible(const CommittedMessage& message, int64_t not_before_us)
{
    const auto id_us = time_of(message.envelope.id);
    const uint64_t behind_content = header_size + message.content.size;
    return id_us && *id_us >= not_before_us &&
           *id_us <= std::max(wall_clock_us(), not_before_us) + latest_id_us_ahead &&
           number_of(message.envelope.id) == message.number && message.content.offset == header_size &&
           message.states_offset >= behind_content && message.states_offset - behind_content <= largest_envelope;
}

} // namespace

SlotPool::Impl::Impl(Loop& its_loop, ThreadPool& its_threads, std::string directory, SlotPoolLimits its_limits,
                     QueueListener& its_listener, Disk& its_disk, std::unique_ptr<MarkJournal> its_journal)
    : loop(its_loop), threads(its_threads), files(std::move(directory)), limits(its_limits), listener(&its_listener),
      disk(its_disk), journal(std::move(its_journal)), retry_delay(its_limits.retry_delay), batch(its_limits.create_batch), changed(its_loop),
      flush_timer(its_loop, [this] { flush(); }), locked_timer(its_loop, [this] { examine_locked(); }),
      retry_timer(its_loop, [this] { try_again(); }), surplus_timer(its_loop, [this] { trim(); })
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

void SlotPool::Impl::slot_dropped(uint64_t number, bool is_broken)
{
    leased.erase(number);
    if (is_broken)
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

void SlotPool::Impl::retire(uint64_t number)
{
    const LiveMessage* message = find_live(number);
    if (!message)
        return;
    const RetiredSlot slot{number, message->id_us, message->file_size, false};
    note_fact(Fact(FactKind::Retired, number, message->id_us));
    fresh.erase(number);
    live.erase(number);
    write_end(slot);
}

void SlotPool::Impl::quarantine(uint64_t number, const std::string& id, const std::string& why)
{
    fresh.erase(number);
    live.erase(number);
    undone.erase(number);
    const std::string what = cat(number, " (", id.empty() ? std::string_view("no message") : std::string_view(id), "): ", why);
    if (!move_aside(number, id, what)) {
        unmoved.emplace(number, Unmoved{id, what});
        look_again_later();
    }
    if (listener)
        listener->message_damaged(number, id);
}

// ---- what holders say

Result<void> SlotPool::Impl::take_committed(HolderId holder, CommittedMessage message)
{
    const uint64_t number = message.number;
    const auto lease = leased.find(number);
    if (lease != leased.end() && lease->second.holder == holder) {
        if (is_plausible(message, lease->second.not_before_us)) {
            take_notice(std::move(message), Arrival::Noticed);
            return Result<void>();
        }
        leased.erase(lease);
        examine_later(number, Arrival::Examined);
        return Error(ErrorKind::Corrupt, cat("a notice of queue file ", number, " that cannot be true"));
    }
    // It may have had this slot before: then its file tells, once the lock has fallen. Meanwhile the slot may have
    // been leased to another, but that one's message is later than any of an earlier holder.
    const auto id_us = time_of(message.envelope.id);
    const auto claimed = claims.find(holder);
    const bool had_it = claimed != claims.end() && claimed->second.erase(number) > 0;
    if (!had_it || (lease != leased.end() && id_us && *id_us >= lease->second.not_before_us))
        return Error(ErrorKind::Corrupt, cat("a notice of queue file ", number, ", which is not its own"));
    // While the scan goes on, what has just come in does not wait for its turn among all that is old.
    if (locked.erase(number) > 0 || unscanned.erase(number) > 0)
        examine_later(number, Arrival::Examined);
    return Result<void>();
}

Result<void> SlotPool::Impl::take_dropped(HolderId holder, uint64_t number, bool is_broken)
{
    const auto lease = leased.find(number);
    if (lease != leased.end() && lease->second.holder == holder) {
        slot_dropped(number, is_broken);
        return Result<void>();
    }
    const auto claimed = claims.find(holder);
    if (claimed == claims.end() || claimed->second.erase(number) == 0)
        return Error(ErrorKind::Corrupt, cat("queue file ", number, " given back, which is not its own"));
    if (locked.erase(number) > 0 || unscanned.erase(number) > 0) {
        if (is_broken)
            broken.insert(number);
        examine_later(number, Arrival::Examined);
    }
    return Result<void>();
}

// Those that are still locked are its own, or another's.
void SlotPool::Impl::look_into_claims(HolderId holder)
{
    const auto claimed = claims.extract(holder);
    if (claimed.empty())
        return;
    for (const uint64_t number : claimed.mapped())
        if (locked.erase(number) > 0)
            examine_later(number, Arrival::Examined);
}

// ---- the public functions

SlotPool::SlotPool(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

SlotPool::~SlotPool()
{
    impl_->flush_timer.cancel();
    impl_->locked_timer.cancel();
    impl_->retry_timer.cancel();
    impl_->surplus_timer.cancel();
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

Task<void> SlotPool::listed()
{
    while (!impl_->listed)
        (void)co_await impl_->changed.wait(Deadline::never());
}

uint64_t SlotPool::slot_size() const { return impl_->limits.slot_size; }

void SlotPool::claim(HolderId holder, const std::vector<uint64_t>& numbers)
{
    impl_->claims[holder].insert(numbers.begin(), numbers.end());
}

Result<void> SlotPool::committed(HolderId holder, CommittedMessage message)
{
    return impl_->take_committed(holder, std::move(message));
}

Result<void> SlotPool::dropped(HolderId holder, uint64_t number, bool broken)
{
    return impl_->take_dropped(holder, number, broken);
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
    impl_->look_into_claims(holder);
}

void SlotPool::mark(uint64_t number, uint32_t index, RecipientState state)
{
    Impl::LiveMessage* message = impl_->find_live(number);
    if (!message || index >= message->recipients)
        log::panic(cat("mark: no recipient ", index, " in queue file ", number));
    InPlace change;
    change.known = !message->known;
    change.marks.emplace_back(index, state);
    message->known = true;
    impl_->fresh.erase(number);
    impl_->note_fact(
        Fact(FactKind::Marked, number, message->id_us, index, static_cast<uint8_t>(state)));
    impl_->change(number, std::move(change));
}

void SlotPool::set_known(uint64_t number)
{
    Impl::LiveMessage* message = impl_->find_live(number);
    if (!message || message->known)
        return;
    InPlace change;
    change.known = true;
    message->known = true;
    impl_->fresh.erase(number);
    impl_->change(number, std::move(change));
}

void SlotPool::set_held(uint64_t number, bool held)
{
    InPlace change;
    change.held = held;
    change.sync = true;
    impl_->change(number, std::move(change));
}

void SlotPool::set_expire(uint64_t number, Expire expire)
{
    InPlace change;
    change.expire = expire;
    change.sync = true;
    impl_->change(number, std::move(change));
}

void SlotPool::set_warned(uint64_t number)
{
    InPlace change;
    change.warned = true;
    impl_->change(number, std::move(change));
}

void SlotPool::set_next_attempt(uint64_t number, int64_t wall_us)
{
    InPlace change;
    change.next_attempt_us = wall_us;
    impl_->change(number, std::move(change));
}

Task<Result<void>> SlotPool::set_successor(uint64_t number, std::string id)
{
    set_known(number); // so that its successor is found before it is tried again, at the next start
    std::function<Result<void>()> write = [files = impl_->files, used = &impl_->disk, number, id]() -> Result<void> {
        const auto file = files.open(number, O_WRONLY);
        if (!file)
            return file.error();
        RETURN_IF_ERROR(write_successor(*used, file->get(), id));
        if (used->fdatasync(file->get()) != 0)
            return disk_error("sync queue file", errno);
        return Result<void>();
    };
    co_return co_await in_pool(impl_->threads, std::move(write));
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

Result<UniqueFd> SlotPool::open_message(uint64_t number) const { return impl_->files.open_to_read(number); }

Task<Result<StoredMessage>> SlotPool::load(uint64_t number, Depth depth) const
{
    std::function<Result<StoredMessage>()> read = [files = impl_->files, number, depth]() -> Result<StoredMessage> {
        const auto file = files.open_to_read(number);
        if (!file)
            return file.error();
        auto examination = examine_file(file->get(), number, depth);
        if (!examination)
            return std::move(examination.error());
        if (examination->verdict != Verdict::Complete)
            return Error(ErrorKind::Corrupt, examination->reason.empty() ? "no message" : examination->reason);
        return std::move(examination->message);
    };
    auto loaded = co_await in_pool(impl_->threads, std::move(read));
    if (loaded)
        impl_->overlay_undone(*loaded);
    co_return loaded;
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
    const Deadline deadline = Deadline::after(settle_timeout);
    impl_->flush();
    while (impl_->has_unwritten_facts()) {
        const bool in_time = co_await impl_->changed.wait(deadline);
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
    counts.undone = impl_->undone.size() + impl_->unread.size() + impl_->unmoved.size();
    return counts;
}

} // namespace posthouse::queue
