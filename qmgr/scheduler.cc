// The main flow of qmgr, see scheduler.h: process() takes one message from its place in the active set to its end.
// placement.cc routes its recipients and hands them to transports, results.cc takes what becomes of them, operator.cc
// what a person wants. Called by the slot pool, which finds messages; touches no file itself.
#include "qmgr/scheduler.h"

#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/queue_id.h"
#include "qmgr/probe_desk.h"

#include <algorithm>
#include <utility>

namespace posthouse::qmgr {

namespace {

// Messages on their way from the index: each is a file to be read in the thread pool.
constexpr size_t most_loading = 200;
// The part of the active set that waiting mail cannot have, so that new mail is never kept out by it.
constexpr size_t reserved_part = 5;
// The wall clock may be set: the next due time is looked up anew at least so often.
constexpr int64_t longest_sleep_us = 60 * 1000000;
constexpr size_t prune_batch = 500;

WaitingMessage record_of(const queue::StoredMessage& stored)
{
    WaitingMessage record;
    record.number = stored.number;
    record.id = stored.id();
    record.arrival_us = stored.envelope.arrival_us;
    record.incoming = !stored.known;
    record.next_us = stored.known ? stored.next_attempt_us : stored.envelope.arrival_us;
    record.size = stored.content.size;
    record.held = stored.held;
    record.warned = stored.warned;
    record.forced_expire = stored.expire != queue::Expire::No;
    record.sender = stored.envelope.sender;
    for (uint32_t index = 0; index < stored.states.size(); ++index) {
        if (queue::is_settled(stored.states[index]) ||
            (stored.envelope.recipients[index].notify & mail::NotifyExpanded)) // nothing waits to go there
            continue;
        WaitingRecipient recipient;
        recipient.index = index;
        recipient.address = stored.envelope.recipients[index].address;
        recipient.original = stored.envelope.recipients[index].original;
        record.recipients.push_back(std::move(recipient));
    }
    return record;
}

} // namespace

Scheduler::Scheduler(Loop& loop, const Settings& settings, RouteFinder& routes, ProbeDesk& probes, WaitingIndex& index)
    : loop_(loop), settings_(settings), routes_(routes), probes_(probes), index_(index), started_us_(wall_clock_us()),
      due_timer_(loop, [this] { admit_due(); }), tasks_(loop)
{
}

Scheduler::~Scheduler() = default;

void Scheduler::attach(queue::SlotPool& pool, NoticeSender& notices)
{
    pool_ = &pool;
    notices_ = &notices;
}

// ---- the main flow

Task<void> Scheduler::process(Message& message)
{
    if (!message.orders.end_now())
        co_await hand_out(message);
    message.handed_out = true;
    // No deadline of its own: a delivery ends by the agent's time-outs, or with the agent.
    while (message.open_deliveries > 0)
        (void)co_await message.deliveries_over.wait(Deadline::never());
    co_await conclude(message);
    recipients_in_core_ -= message.weight;
    if (mail::is_probe(message.envelope))
        probes_.end();
    active_.erase(message.number);
    admit_soon();
}

Task<void> Scheduler::conclude(Message& message)
{
    const int64_t now_us = wall_clock_us();
    const auto something_left = [&message] {
        return std::any_of(message.states.begin(), message.states.end(),
                           [](auto state) { return !queue::is_settled(state); });
    };
    if (!message.orders.remove)
        co_await tell_success(message);
    if (message.orders.requeue && !message.orders.remove && something_left())
        co_await requeue(message);
    expire_when_old(message, now_us);
    if (!message.orders.remove)
        co_await tell_failure(message);
    if (!message.orders.remove && settings_.retry.warning_due(message.envelope.arrival_us, now_us))
        co_await warn_sender(message);
    if (message.orders.remove || !something_left())
        retire(message);
    else
        put_to_wait(message, wall_clock_us());
}

Task<void> Scheduler::requeue(Message& message)
{
    message.orders.requeue = false;
    if (message.not_told) { // the copy has only those that are to be tried
        log::warning(message.id(), ": cannot be requeued: its sender could not be told of what was delivered");
        co_return;
    }
    auto new_id = co_await notices_->requeue(message);
    if (new_id)
        log::info(message.id(), ": requeued as ", *new_id);
    else
        log::warning(message.id(), ": cannot be requeued: ", new_id.error().full_text());
    message.orders.remove = message.orders.remove || new_id;
}

// ---- admission

void Scheduler::message_found(queue::StoredMessage message, queue::Arrival how)
{
    if (scanning_ && !message.successor.empty())
        requeued_.emplace_back(message.number, message.id(), message.successor);
    else if (was_requeued(message.number, message.id(), message.successor))
        return;
    // One that was tried before has its reasons in the index.
    if (scanning_ && (how == queue::Arrival::Scanned || message.known)) {
        note_scanned(message);
        return;
    }
    if (scanning_)
        scanned_.push_back(message.number); // new: the index will not forget it when the scan ends
    if (drop_surplus_probe(message))
        return;
    ++counters_.accepted;
    const bool due = !message.held && (!message.known || message.next_attempt_us <= wall_clock_us());
    if (due && !paused_ && has_room(message.envelope.recipients.size())) {
        begin(std::move(message), nullptr, Orders());
        return;
    }
    put_record(record_of(message));
    admit_soon();
}

void Scheduler::message_damaged(uint64_t number, const std::string&)
{
    index_.erase(number);
}

// One message, however large, leaves room for others; a second large one waits.
size_t Scheduler::weight(size_t recipients) const
{
    return std::min(recipients, settings_.recipient_limit / 2);
}

bool Scheduler::has_room(size_t recipients) const
{
    if (active_.size() + loading_.size() >= settings_.active_limit)
        return false;
    const bool is_large = recipients > settings_.recipient_limit / 2;
    const size_t limit = settings_.recipient_limit - (is_large ? settings_.recipient_limit / reserved_part : 0);
    return active_.empty() || recipients_in_core_ + weight(recipients) <= limit;
}

size_t Scheduler::room_for_waiting() const
{
    const size_t limit = std::max<size_t>(1, settings_.active_limit - settings_.active_limit / reserved_part);
    const size_t used = active_.size() + loading_.size();
    const size_t recipient_limit = settings_.recipient_limit - settings_.recipient_limit / reserved_part;
    if (paused_ || scanning_ || used >= limit || loading_.size() >= most_loading)
        return 0;
    if (used > 0 && recipients_in_core_ >= recipient_limit)
        return 0;
    return std::min(limit - used, most_loading - loading_.size());
}

// A record from before the restart knows why each recipient waits; the file knows everything else.
void Scheduler::note_scanned(const queue::StoredMessage& message)
{
    scanned_.push_back(message.number);
    WaitingMessage fresh = record_of(message);
    const auto old = index_.get(message.number);
    if (!old || old->id != fresh.id) {
        index_.put(fresh);
        return;
    }
    auto known = old->recipients.begin(); // both are in the order of the file
    for (WaitingRecipient& recipient : fresh.recipients) {
        while (known != old->recipients.end() && known->index < recipient.index)
            ++known;
        if (known == old->recipients.end() || known->index != recipient.index)
            continue;
        recipient.dsn = known->dsn;
        recipient.reason = known->reason;
    }
    fresh.incoming = fresh.incoming && old->incoming;
    fresh.flushed = old->flushed;
    fresh.requeue = old->requeue;
    if (index_.state() == WaitingIndex::State::Clean)
        fresh.next_us = old->next_us;
    if (index_.state() != WaitingIndex::State::Clean || fresh != *old)
        index_.put(fresh);
}

// Whoever asked asks again. A probe that has to wait is worth nothing.
bool Scheduler::drop_surplus_probe(const queue::StoredMessage& message)
{
    if (!mail::is_probe(message.envelope) || (message.envelope.trace & mail::TraceCache) == 0 ||
        (has_room(message.envelope.recipients.size()) && probes_.has_room()))
        return false;
    log::warning(message.id(), ": too many address verification probes under way: not begun");
    pool_->retire(message.number);
    return true;
}

// An earlier qmgr died between the new message's commit and the end of the old one.
bool Scheduler::was_requeued(uint64_t number, const std::string& id, const std::string& successor)
{
    const auto other = queue::number_of(successor);
    if (!other || !pool_->is_live(*other, successor) || !pool_->is_live(number, id))
        return false;
    log::info(id, ": requeued as ", successor);
    pool_->retire(number);
    index_.erase(number);
    log::info(id, ": removed");
    return true;
}

// What the index knows and the scan has not found is gone.
void Scheduler::scan_ended()
{
    scanning_ = false;
    for (const Requeued& one : std::exchange(requeued_, std::vector<Requeued>()))
        (void)was_requeued(one.number, one.id, one.successor); // else it was not, and waits as before
    std::sort(scanned_.begin(), scanned_.end());
    uint64_t after = 0;
    for (auto records = index_.heads(after, prune_batch); !records.empty(); records = index_.heads(after, prune_batch)) {
        for (const WaitingMessage& record : records)
            if (!std::binary_search(scanned_.begin(), scanned_.end(), record.number) && !active_.contains(record.number))
                index_.erase(record.number);
        after = records.back().number;
    }
    scanned_ = std::vector<uint64_t>();
    admit_soon();
}

void Scheduler::put_record(const WaitingMessage& record)
{
    index_.put(record);
    if (!record.held)
        next_due_us_ = std::min(next_due_us_, record.incoming ? 0 : record.next_us);
}

void Scheduler::admit_soon()
{
    if (scanning_ || paused_)
        return;
    const int64_t wait_us = std::clamp<int64_t>(next_due_us_ - wall_clock_us(), 0, longest_sleep_us);
    due_timer_.set(loop_.now() + Duration::microseconds(wait_us));
}

void Scheduler::admit_due()
{
    const int64_t now_us = wall_clock_us();
    const size_t room = room_for_waiting();
    if (scanning_ || paused_ || (room == 0 && next_due_us_ <= now_us))
        return; // something ends first, and calls admit_soon()
    if (next_due_us_ <= now_us) {
        const auto taken = [this](uint64_t number) { return active_.contains(number) || loading_.contains(number); };
        for (const uint64_t number : index_.due(now_us, room, taken)) {
            index_.activate(number);
            if (!taken(number))
                load(number);
        }
        next_due_us_ = index_.first_due_us();
    }
    if (next_due_us_ > now_us)
        admit_soon();
}

void Scheduler::load(uint64_t number)
{
    if (loading_.emplace(number, Orders()).second)
        tasks_.spawn(activate_waiting(number));
}

Task<void> Scheduler::activate_waiting(uint64_t number)
{
    std::optional<WaitingMessage> record = index_.head(number);
    const bool seen_whole = record && record->arrival_us > started_us_;
    const queue::Depth depth = seen_whole ? queue::Depth::WithoutContent : queue::Depth::WithContent;
    auto stored = co_await pool_->load(number, depth);
    auto waited = loading_.extract(number);
    if (stored && !(record && record->id != stored->id())) {
        begin(std::move(*stored), record ? &*record : nullptr, waited.mapped());
    } else if (!stored && stored.error().kind() == ErrorKind::Temporary) {
        log::warning(record ? record->id : cat("queue file ", number), ": cannot be read now: ",
                     stored.error().full_text());
        try_later(number, std::move(record));
    } else {
        if (!stored && record && pool_->is_live(number, record->id))
            pool_->quarantine(number, stored.error().full_text());
        index_.erase(number);
    }
    admit_soon();
}

void Scheduler::try_later(uint64_t number, std::optional<WaitingMessage> record)
{
    const int64_t now_us = wall_clock_us();
    const int64_t next_us = settings_.retry.next_attempt_us(record ? record->arrival_us : now_us, now_us);
    if (record) {
        record->next_us = next_us;
        record->incoming = false;
        index_.put_head(*record);
    } else {
        index_.keep_in_mind(number, next_us);
    }
    next_due_us_ = std::min(next_due_us_, next_us);
}

// `record`: of the index, when it has one.
void Scheduler::begin(queue::StoredMessage stored, const WaitingMessage* record, const Orders& orders)
{
    const uint64_t number = stored.number;
    if (const auto active = active_.find(number); active != active_.end()) { // its deliveries refer to that one
        log::error(stored.id(), ": not begun, for ", active->second->id(), " in its slot is active");
        return;
    }
    const bool expire = orders.expire || stored.expire != queue::Expire::No || (record && record->forced_expire);
    auto owned = std::make_unique<Message>(loop_, std::move(stored));
    Message& message = *owned;
    message.indexed = record != nullptr;
    message.flushed = record != nullptr && record->flushed;
    message.orders = orders;
    message.orders.expire = expire;
    message.orders.requeue = orders.requeue || (record && record->requeue);
    message.active_us = wall_clock_us();
    message.untold = still_untold(message);
    if (mail::is_probe(message.envelope))
        probes_.begin();
    message.weight = weight(message.recipients.size());
    recipients_in_core_ += message.weight;
    active_.emplace(number, std::move(owned));
    log::info(message.id(), ": from=<", message.envelope.sender, ">, size=", message.content.size,
              ", nrcpt=", message.recipients.size(), " (queue active)");
    tasks_.spawn(process(message));
}

// ---- the end

void Scheduler::settings_changed()
{
    for (auto& [name, one] : transports_)
        one->adopt(settings_.transport(name));
    admit_soon();
}

void Scheduler::pause()
{
    paused_ = true;
    due_timer_.cancel();
    for (auto& [name, one] : transports_)
        one->pause();
}

bool Scheduler::quiet() const
{
    const bool concluding = std::any_of(active_.begin(), active_.end(), [](const auto& one) {
        return one.second->handed_out && one.second->open_deliveries == 0;
    });
    return !concluding && given_back_.empty() && !deferring_ &&
           std::all_of(transports_.begin(), transports_.end(), [](const auto& one) { return one.second->running() == 0; });
}

void Scheduler::leave_in_order()
{
    tasks_.cancel_all();
    for (auto& [number, message] : active_)
        put_to_wait(*message, message->active_us);
    for (const auto& [number, orders] : loading_)
        if (const auto record = index_.head(number))
            index_.put_head(*record);
    if (!scanning_) // else it is not complete
        index_.close_in_order();
}

} // namespace posthouse::qmgr
