// Scheduler, fourth part: what the operator orders, message by message. Whole queues are walked in pieces
// by the ControlDesk, so that nothing here takes long.
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/queue_id.h"
#include "qmgr/listing.h"
#include "qmgr/scheduler.h"
#include "qmgr/time_slice.h"

#include <algorithm>
#include <utility>

namespace posthouse::qmgr {

using queue::Action;

namespace {

constexpr size_t list_batch = 200;

} // namespace

void Scheduler::make_due(WaitingMessage record)
{
    record.next_us = wall_clock_us();
    index_.put_head(record);
    next_due_us_ = std::min(next_due_us_, record.incoming ? 0 : record.next_us);
    admit_soon();
}

void Scheduler::flush_transports()
{
    for (auto& [name, one] : transports_)
        one->flush();
    for (auto& [number, message] : active_)
        message->flushed = true;
}

bool Scheduler::flush_id(const std::string& id)
{
    const auto number = queue::number_of(id);
    if (!number)
        return false;
    if (const auto active = active_.find(*number); active != active_.end() && active->second->id() == id)
        return true;
    auto record = index_.head(*number);
    if (!record || record->id != id || record->held || loading_.contains(*number))
        return record && record->id == id && !record->held;
    record->flushed = true;
    make_due(std::move(*record));
    return true;
}

bool Scheduler::flush_some(const std::string& site, uint64_t& after, uint64_t& count)
{
    std::vector<WaitingMessage> records =
        site.empty() ? index_.heads(after, list_batch) : index_.list(after, list_batch);
    for (WaitingMessage& record : records) {
        after = record.number;
        if (record.held || active_.contains(record.number) || loading_.contains(record.number))
            continue;
        const auto& all = record.recipients;
        if (!site.empty() &&
            std::none_of(all.begin(), all.end(), [&site](const auto& one) { return in_site(one.address, site); }))
            continue;
        ++count;
        record.flushed = true;
        make_due(std::move(record));
    }
    return !records.empty();
}

std::vector<std::string> Scheduler::ids_after(uint64_t& after, int64_t before_us, bool& ended) const
{
    std::vector<std::string> ids;
    if (after == 0)
        for (const auto& [number, message] : active_)
            if (message->envelope.arrival_us < before_us)
                ids.push_back(message->id());
    std::vector<WaitingMessage> records = index_.heads(after, list_batch);
    ended = records.empty();
    for (WaitingMessage& record : records) {
        after = record.number;
        if (record.arrival_us < before_us && !active_.contains(record.number))
            ids.push_back(std::move(record.id));
    }
    return ids;
}

bool Scheduler::act(Action action, const std::string& id, uint8_t queues)
{
    const auto number = queue::number_of(id);
    if (!number)
        return false;
    if (const auto active = active_.find(*number); active != active_.end() && active->second->id() == id)
        return (queues & queue::Active) != 0 && act_on_active(action, *active->second);
    auto record = index_.head(*number);
    if (!record || record->id != id)
        return false;
    if (const auto loading = loading_.find(*number); loading != loading_.end())
        return (queues & queue::Active) != 0 && act_on_loading(action, *record, loading->second);
    return (queues & queue_of(*record)) != 0 && act_on_waiting(action, std::move(*record));
}

// False when the action has no meaning for a message that is being delivered.
bool Scheduler::note_order(Action action, Orders& orders)
{
    switch (action) {
    case Action::Hold:
        orders.hold = true;
        return true;
    case Action::Delete:
        orders.remove = true;
        return true;
    case Action::Requeue:
        orders.requeue = true;
        return true;
    case Action::Expire:
    case Action::ForceExpire:
        orders.expire = true;
        return true;
    case Action::Release:
        return false;
    }
    return false;
}

bool Scheduler::act_on_active(Action action, Message& message)
{
    if (!note_order(action, message.orders))
        return false;
    std::vector<uint32_t> pending;
    for (uint32_t index = 0; action == Action::Delete && index < message.states.size(); ++index)
        if (message.unfinished(index))
            pending.push_back(index);
    write_order(action, message.number, message.id(), std::move(pending));
    if (message.orders.end_now())
        for (auto& [name, one] : transports_)
            one->cancel(message);
    return true;
}

bool Scheduler::act_on_loading(Action action, const WaitingMessage& record, Orders& orders)
{
    if (!note_order(action, orders))
        return false;
    std::vector<uint32_t> pending;
    if (const auto whole = index_.get(record.number); whole && action == Action::Delete)
        for (const WaitingRecipient& recipient : whole->recipients)
            pending.push_back(recipient.index);
    write_order(action, record.number, record.id, std::move(pending));
    return true;
}

// What is only carried out when the deliveries are over must not be forgotten with this process.
void Scheduler::write_order(Action action, uint64_t number, const std::string& id, std::vector<uint32_t> pending)
{
    if (action == Action::Hold) {
        pool_->set_known(number);
        pool_->set_held(number, true);
    }
    if (action == Action::Expire || action == Action::ForceExpire)
        pool_->set_expire(number, queue::Expire::AtNextAttempt);
    if (action == Action::Delete)
        tasks_.spawn(mark_deleted(number, id, std::move(pending)));
}

// At once for all but a message with very many recipients. A recipient that is delivered all the same is marked so.
Task<void> Scheduler::mark_deleted(uint64_t number, std::string id, std::vector<uint32_t> pending)
{
    TimeSlice slice;
    for (const uint32_t index : pending) {
        if (slice.over()) {
            co_await sleep_for(loop_, Duration());
            slice.renew();
        }
        const auto active = active_.find(number);
        if (!pool_->is_live(number, id))
            co_return;
        if (active == active_.end() || active->second->unfinished(index))
            pool_->mark(number, index, queue::RecipientState::Deleted);
    }
}

bool Scheduler::act_on_waiting(Action action, WaitingMessage record)
{
    const uint64_t number = record.number;
    const std::string id = record.id;
    switch (action) {
    case Action::Delete:
        pool_->retire(number);
        index_.erase(number);
        ++counters_.removed;
        log::info(id, ": removed");
        return true;
    case Action::Hold:
        if (record.held)
            return false;
        record.held = true;
        pool_->set_known(number);
        pool_->set_held(number, true);
        index_.put_head(record);
        log::info(id, ": placed on hold");
        return true;
    case Action::Release:
        if (!record.held)
            return false;
        record.held = false;
        pool_->set_held(number, false);
        log::info(id, ": released from hold");
        make_due(std::move(record));
        return true;
    case Action::Requeue:
        index_.activate(number);
        record.requeue = true; // when it is active, so that the whole queue may be requeued
        if (std::exchange(record.held, false))
            pool_->set_held(number, false);
        make_due(std::move(record));
        return true;
    case Action::Expire:
    case Action::ForceExpire:
        return expire_waiting(action, std::move(record));
    }
    return false;
}

bool Scheduler::expire_waiting(Action action, WaitingMessage record)
{
    const bool release = action == Action::ForceExpire && record.held;
    pool_->set_expire(record.number, release ? queue::Expire::AndRelease : queue::Expire::AtNextAttempt);
    record.forced_expire = true;
    log::info(record.id, ": expired");
    if (release) {
        record.held = false;
        pool_->set_held(record.number, false);
    }
    if (record.held)
        index_.put_head(record);
    else
        make_due(std::move(record));
    return true;
}

std::vector<std::string> Scheduler::status() const
{
    size_t running = 0;
    size_t agents = 0;
    size_t dead = 0;
    size_t queued = 0;
    for (const auto& [name, one] : transports_) {
        running += one->running();
        queued += one->waiting();
        agents += one->agents();
        dead += one->dead_destinations();
    }
    const queue::SlotPool::Counts slots = pool_->counts();
    return {
        cat("active_messages=", active_.size()),
        cat("active_recipients=", recipients_in_core_),
        cat("indexed_messages=", index_.count()),
        cat("deliveries_running=", running),
        cat("deliveries_queued=", queued),
        cat("agents=", agents),
        cat("dead_destinations=", dead),
        cat("slots_free=", slots.free),
        cat("slots_leased=", slots.leased),
        cat("slots_live=", slots.live),
        cat("messages_accepted=", counters_.accepted),
        cat("messages_removed=", counters_.removed),
        cat("recipients_delivered=", counters_.delivered),
        cat("recipients_deferred=", counters_.deferred),
        cat("recipients_failed=", counters_.failed),
    };
}

} // namespace posthouse::qmgr
