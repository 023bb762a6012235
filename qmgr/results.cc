// Scheduler, third part: what becomes of recipients, and of a message after an attempt. The order is what
// keeps promises: a delivered recipient is marked before anything else; a failed one is settled only when
// its bounce is durable, so that a crash repeats the failure instead of losing the bounce.
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/log_outcome.h"
#include "qmgr/probe_desk.h"
#include "qmgr/scheduler.h"
#include "qmgr/time_slice.h"

#include <algorithm>
#include <utility>

namespace posthouse::qmgr {

using queue::DeliveryStatus;
using queue::RecipientState;

namespace {

// The new reasons; for a recipient that was not tried this time the one it had.
void add_reasons(WaitingMessage& record, const std::vector<queue::RecipientOutcome>& now,
                 const std::vector<WaitingRecipient>& earlier)
{
    std::unordered_map<uint32_t, std::pair<std::string, std::string>> reasons;
    for (const WaitingRecipient& recipient : earlier)
        reasons[recipient.index] = std::pair(recipient.dsn, recipient.reason);
    for (const queue::RecipientOutcome& outcome : now)
        reasons[outcome.index] = std::pair(outcome.dsn, outcome.text);
    for (WaitingRecipient& recipient : record.recipients)
        if (const auto found = reasons.find(recipient.index); found != reasons.end()) {
            recipient.dsn = found->second.first;
            recipient.reason = found->second.second;
        }
}

RecipientState untold_state(queue::DeliveryAction action)
{
    switch (action) {
    case queue::DeliveryAction::Relayed:
        return RecipientState::RelayedUntold;
    case queue::DeliveryAction::Expanded:
        return RecipientState::ExpandedUntold;
    case queue::DeliveryAction::Delivered:
    case queue::DeliveryAction::None:
        return RecipientState::DeliveredUntold;
    }
    return RecipientState::DeliveredUntold;
}

queue::DeliveryAction untold_action(RecipientState state)
{
    if (state == RecipientState::RelayedUntold)
        return queue::DeliveryAction::Relayed;
    return state == RecipientState::ExpandedUntold ? queue::DeliveryAction::Expanded : queue::DeliveryAction::Delivered;
}

} // namespace

std::vector<queue::RecipientOutcome> still_untold(const Message& message)
{
    std::vector<queue::RecipientOutcome> outcomes;
    for (uint32_t index = 0; index < message.states.size(); ++index) {
        if (!queue::is_untold(message.states[index]))
            continue;
        queue::RecipientOutcome outcome(0, index, DeliveryStatus::Delivered, "2.0.0", "delivered at an earlier attempt");
        outcome.action = untold_action(message.states[index]);
        outcomes.push_back(std::move(outcome));
    }
    return outcomes;
}

Result<queue::DeliveryRequest> Scheduler::request_for(const Delivery& delivery)
{
    const Message& message = delivery.message;
    auto file = pool_->open_message(message.number);
    if (!file)
        return std::move(file.error());
    queue::DeliveryRequest request;
    request.envelope = message.envelope;
    request.envelope.recipients.reserve(delivery.recipients.size());
    for (const uint32_t index : delivery.recipients) {
        request.envelope.recipients.push_back(message.recipients[index]);
        if (const auto other = message.rerouted.find(index); other != message.rerouted.end())
            request.envelope.recipients.back().address = other->second;
    }
    request.indexes = delivery.recipients;
    request.content = message.content;
    request.active_us = message.active_us;
    request.start_us = wall_clock_us();
    request.expired_soon = message.orders.expire || settings_.retry.expired(message.envelope.arrival_us,
                                                                            request.start_us, message.from_null_sender());
    request.soft_bounce = settings_.soft_bounce;
    request.file = std::move(*file);
    return request;
}

void Scheduler::recipient_answered(Delivery& delivery, queue::RecipientOutcome outcome)
{
    settle(delivery.message, std::move(outcome));
}

void Scheduler::delivery_over(std::unique_ptr<Delivery> delivery, const std::string& dsn, const std::string& text)
{
    Message& message = delivery->message;
    if (!delivery->recipients.empty()) {
        given_back_.emplace_back(std::move(delivery), dsn, text);
        if (!std::exchange(deferring_, true))
            tasks_.spawn(defer_given_back());
    } else if (--message.open_deliveries == 0) {
        message.deliveries_over.notify_all();
    }
}

Task<void> Scheduler::defer_given_back()
{
    TimeSlice slice;
    while (!given_back_.empty()) {
        const GivenBack one = std::move(given_back_.front());
        given_back_.pop_front();
        Message& message = one.delivery->message;
        for (const uint32_t index : one.delivery->recipients) {
            settle_here(message, queue::RecipientOutcome(0, index, DeliveryStatus::Deferred, one.dsn, one.text));
            if (slice.over()) {
                co_await sleep_for(loop_, Duration());
                slice.renew();
            }
        }
        if (--message.open_deliveries == 0)
            message.deliveries_over.notify_all();
    }
    deferring_ = false;
}

void Scheduler::settle_here(Message& message, queue::RecipientOutcome outcome)
{
    queue::DeliveryRequest about;
    about.soft_bounce = settings_.soft_bounce;
    about.envelope.id = message.id();
    about.envelope.arrival_us = message.envelope.arrival_us;
    about.envelope.trace = message.envelope.trace;
    about.envelope.recipients.push_back(message.recipients[outcome.index]);
    about.indexes.push_back(outcome.index);
    about.active_us = message.active_us;
    about.start_us = wall_clock_us();
    queue::log_outcome(about, 0, outcome);
    settle(message, std::move(outcome));
}

void Scheduler::settle(Message& message, queue::RecipientOutcome outcome)
{
    if (mail::is_probe(message.envelope)) { // whatever it is: the answer
        message.untold.push_back(std::move(outcome));
        return;
    }
    if (settings_.soft_bounce)
        soften(outcome);
    const mail::Recipient& recipient = message.recipients[outcome.index];
    switch (outcome.status) {
    case DeliveryStatus::Deferred:
        ++counters_.deferred;
        message.deferred.push_back(std::move(outcome));
        return;
    case DeliveryStatus::Failed:
        ++counters_.failed;
        message.failed.push_back(std::move(outcome));
        return;
    case DeliveryStatus::Delivered:
        ++counters_.delivered;
        const bool wanted = report_success(recipient, outcome) || (message.envelope.trace & mail::TraceDelivery) != 0;
        RecipientState& state = message.states[outcome.index];
        state = wanted ? untold_state(outcome.action) : RecipientState::Delivered;
        // The only recipient needs no mark when the message is retired in the next turn of the loop.
        if (wanted || message.states.size() > 1)
            pool_->mark(message.number, outcome.index, state);
        if (wanted)
            message.untold.push_back(std::move(outcome));
        return;
    }
}

void Scheduler::expire_when_old(Message& message, int64_t now_us)
{
    if (message.deferred.empty() || message.orders.remove)
        return;
    const bool old = settings_.retry.expired(message.envelope.arrival_us, now_us, message.from_null_sender());
    if (!old && !message.orders.expire)
        return;
    log::info(message.id(), ": from=<", message.envelope.sender, ">, status=",
              message.orders.expire && !old ? "force-expired" : "expired", ", returned to sender");
    for (queue::RecipientOutcome& outcome : message.deferred)
        message.failed.push_back(std::move(outcome));
    message.deferred.clear();
}

// Each recipient is told of once: what was not marked as told is told again after the death of this process.
Task<void> Scheduler::tell_success(Message& message)
{
    message.not_told = false;
    if (message.untold.empty())
        co_return;
    Result<void> told;
    if ((message.envelope.trace & mail::TraceCache) != 0)
        probes_.note(message, message.untold);
    else
        told = co_await notices_->send(NoticeKind::Success, message, message.untold);
    if (!told) {
        log::warning(message.id(), ": cannot queue a delivery status notification: ", told.error().full_text());
        const bool old = settings_.retry.expired(message.envelope.arrival_us, wall_clock_us(), message.from_null_sender());
        message.not_told = !old && !told.error().permanent();
        if (message.not_told)
            co_return;
    }
    for (const queue::RecipientOutcome& outcome : message.untold) {
        message.states[outcome.index] = RecipientState::Delivered;
        if (message.states.size() > 1)
            pool_->mark(message.number, outcome.index, RecipientState::Delivered);
    }
    message.untold.clear();
}

Task<void> Scheduler::tell_failure(Message& message)
{
    if (message.failed.empty())
        co_return;
    auto told = co_await notices_->send(NoticeKind::Failure, message, message.failed);
    if (!told)
        log::warning(message.id(), ": cannot queue a non-delivery notification: ", told.error().full_text());
    for (queue::RecipientOutcome& outcome : message.failed) {
        if (!told) {
            message.deferred.push_back(std::move(outcome));
            continue;
        }
        message.states[outcome.index] = RecipientState::Bounced;
        if (message.states.size() > 1)
            pool_->mark(message.number, outcome.index, RecipientState::Bounced);
    }
    message.failed.clear();
}

Task<void> Scheduler::warn_sender(Message& message)
{
    if (message.warned || message.deferred.empty())
        co_return;
    auto told = co_await notices_->send(NoticeKind::Delay, message, message.deferred);
    if (!told) {
        log::warning(message.id(), ": cannot queue a delay notification: ", told.error().full_text());
        co_return;
    }
    message.warned = true;
    pool_->set_warned(message.number);
}

void Scheduler::retire(Message& message)
{
    ++counters_.removed;
    pool_->retire(message.number);
    if (message.indexed)
        index_.erase(message.number);
    log::info(message.id(), ": removed");
}

void Scheduler::put_to_wait(Message& message, int64_t now_us)
{
    WaitingMessage record;
    const size_t left = static_cast<size_t>(std::count_if(
        message.states.begin(), message.states.end(), [](auto state) { return !queue::is_settled(state); }));
    if (message.indexed && message.deferred.size() < left) // else the old reasons are not needed
        record = index_.get(message.number).value_or(WaitingMessage());
    const std::vector<WaitingRecipient> earlier = std::move(record.recipients);
    record.recipients.clear();
    record.number = message.number;
    record.id = message.id();
    record.arrival_us = message.envelope.arrival_us;
    record.size = message.content.size;
    record.sender = message.envelope.sender;
    record.held = message.orders.hold;
    record.forced_expire = message.orders.expire;
    record.warned = message.warned;
    record.incoming = false;
    record.flushed = false;
    record.requeue = message.orders.requeue; // when qmgr ends before it was
    // One whose attempt was cut short, by the end of qmgr, is due at once.
    const bool tried = !message.deferred.empty() || message.not_told;
    record.next_us = tried ? settings_.retry.next_attempt_us(message.envelope.arrival_us, now_us) : now_us;
    for (uint32_t index = 0; index < message.states.size(); ++index) {
        if (!message.unfinished(index))
            continue;
        WaitingRecipient recipient;
        recipient.index = index;
        recipient.address = message.recipients[index].address;
        recipient.original = message.recipients[index].original;
        record.recipients.push_back(std::move(recipient));
    }
    add_reasons(record, message.deferred, earlier);
    for (WaitingRecipient& recipient : record.recipients)
        if (queue::is_untold(message.states[recipient.index]))
            recipient.reason = "delivered; the sender, who asked for it, is still to be told";
    pool_->set_known(message.number);
    if (message.orders.hold)
        pool_->set_held(message.number, true);
    pool_->set_next_attempt(message.number, record.next_us);
    put_record(record);
}

} // namespace posthouse::qmgr
