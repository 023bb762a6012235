// The dialogue with qmgr: see agent_session.h.
#include "local/agent_session.h"

#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/log_outcome.h"

#include <unistd.h>
#include <utility>

namespace posthouse::local {

namespace {
constexpr uint32_t most_requests = 200;
constexpr size_t recipients_at_a_time = 50; // of one request
constexpr Duration last_flush = Duration::seconds(30);

queue::RecipientOutcome to_record(const queue::DeliveryRequest& request, size_t position, Outcome outcome,
                                  const std::string& relay, int64_t started_us)
{
    queue::RecipientOutcome record(request.serial, request.indexes[position], outcome.status, std::move(outcome.dsn),
                                   std::move(outcome.text));
    record.relay = relay;
    record.action = outcome.action;
    record.transmit_us = wall_clock_us() - started_us;
    return record;
}
} // namespace

AgentSession::AgentSession(Loop& loop, ThreadPool& pool, RecipientDelivery& delivery, std::string relay,
                           UniqueFd connection)
    : loop_(loop), pool_(pool), delivery_(delivery), relay_(std::move(relay)), channel_(loop, std::move(connection)),
      deliveries_(loop)
{
}

Task<void> AgentSession::run()
{
    const queue::AgentHello hello(static_cast<uint32_t>(::getpid()), most_requests);
    if (!channel_.post_or_end(hello.to_frame()))
        co_return;
    greeted_ = true;
    if (draining_)
        channel_.post_or_end(queue::AgentLeaving().to_frame());
    while (true) {
        auto frame = co_await channel_.receive(Deadline::never());
        if (!frame) {
            if (frame.error().kind() != ErrorKind::Disconnected)
                log::warning("connection from qmgr: ", frame.error().full_text());
            break;
        }
        if (frame->type == queue::DeliveryCancel::type)
            continue; // a delivery here is short, and half of it is nothing to be kept
        auto request = queue::DeliveryRequest::from_frame(std::move(*frame));
        if (!request) {
            log::warning("connection from qmgr: ", request.error().full_text());
            break;
        }
        if (request->file)
            deliveries_.spawn(deliver(std::move(*request)));
        else
            queue::post_done(channel_, queue::DeliveryDone::busy(request->serial));
    }
    deliveries_.cancel_all();
    co_await deliveries_.drained();
    (void)co_await channel_.wait_below(0, Deadline::after(last_flush));
}

Task<void> AgentSession::deliver(queue::DeliveryRequest request)
{
    queue::DeliveryDone done(request.serial);
    auto head = co_await MessageHead::read(pool_, request.file.get(), request.content);
    if (!head) {
        defer_all(request, head.error(), done);
    } else {
        size_t next = 0;
        const size_t count = request.envelope.recipients.size();
        if (count == 1) {
            co_await deliver_some(request, *head, next, done);
        } else {
            TaskGroup beside(loop_);
            for (size_t i = 0; i < recipients_at_a_time && i < count; ++i)
                beside.spawn(deliver_some(request, *head, next, done));
            co_await beside.drained();
        }
    }
    queue::post_done(channel_, std::move(done)); // what cannot be sent ends run() as well
}

// Takes the next recipient until there is none.
Task<void> AgentSession::deliver_some(const queue::DeliveryRequest& request, const MessageHead& head, size_t& next,
                                      queue::DeliveryDone& done)
{
    while (next < request.envelope.recipients.size()) {
        const size_t position = next++;
        const int64_t started_us = wall_clock_us();
        Outcome outcome = co_await delivery_.deliver(request, position, head);
        auto record = to_record(request, position, std::move(outcome), relay_, started_us);
        queue::log_outcome(request, position, record);
        done.outcomes.push_back(std::move(record));
    }
}

void AgentSession::defer_all(const queue::DeliveryRequest& request, const Error& error, queue::DeliveryDone& done)
{
    const int64_t now = wall_clock_us();
    for (size_t i = 0; i < request.envelope.recipients.size(); ++i) {
        auto record = to_record(request, i, Outcome::deferred("4.3.0", error.full_text()), relay_, now);
        queue::log_outcome(request, i, record);
        done.outcomes.push_back(std::move(record));
    }
}

void AgentSession::drain()
{
    if (!std::exchange(draining_, true) && greeted_)
        channel_.post_or_end(queue::AgentLeaving().to_frame());
}

} // namespace posthouse::local
