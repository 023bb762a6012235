// The agent's end of the delivery protocol, see agent.h: one for each connection of qmgr's, made by smtp.cc. A request
// becomes a Delivery (delivery.cc).
#include "smtp/agent.h"

#include "lib/log/log.h"

#include <functional>
#include <optional>
#include <unistd.h>

namespace posthouse::smtp_client {

namespace {
constexpr Duration last_flush = Duration::seconds(30);
} // namespace

// One delivery and the task that carries it out, which can be given up alone.
class Agent::Running {
public:
    Running(Agent& agent, const queue::DeliveryRequest& request, std::function<void(queue::RecipientOutcome)> report)
        : delivery(agent.loop_, agent.pool_, agent.settings_, agent.names_, agent.cache_, request, std::move(report)),
          task(agent.loop_)
    {
    }
    Delivery delivery;
    std::optional<queue::DeliveryDone> done;
    TaskGroup task; // last
};

Agent::Agent(Loop& loop, ThreadPool& pool, const Settings& settings, NameService& names, SessionCache& cache, UniqueFd connection)
    : loop_(loop), pool_(pool), settings_(settings), names_(names), cache_(cache), channel_(loop, std::move(connection)),
      deliveries_(loop)
{
}

Task<void> Agent::serve()
{
    const queue::AgentHello hello(static_cast<uint32_t>(::getpid()),
                                  static_cast<uint32_t>(settings_.deliveries_at_a_time));
    auto posted = channel_.post(hello.to_frame());
    if (!posted)
        co_return;
    auto ended = co_await receive_requests();
    if (!stopping_) {
        if (!ended && ended.error().kind() != ErrorKind::Disconnected)
            log::warning("connection with the queue manager: ", ended.error().full_text());
        // What is under way can no longer be reported: end it while that avoids a second copy.
        give_up_all();
        deliveries_.cancel_all();
    }
    co_await deliveries_.drained();
    running_.clear();
    (void)co_await channel_.wait_below(0, Deadline::after(last_flush));
}

// The connection stays until qmgr closes it: were it to end here, qmgr would hold for lost what is being sent.
void Agent::stop(Stop how)
{
    channel_.post_or_end(queue::AgentLeaving().to_frame());
    if (how == Stop::WhenDone)
        return;
    stopping_ = true;
    give_up_all();
    for (const auto& [serial, running] : running_)
        if (!running->delivery.sending())
            running->task.cancel_all();
}

// Tasks end at the end of this turn of the loop. Until then a host's go-ahead may arrive, and what is sent in reply
// to it would make a second copy.
void Agent::give_up_all()
{
    for (const auto& [serial, running] : running_)
        running->delivery.give_up();
}

Task<Result<void>> Agent::receive_requests()
{
    while (true) {
        auto frame = co_await channel_.receive(Deadline::never());
        if (!frame)
            co_return std::move(frame.error());
        if (frame->type == queue::DeliveryRequest::type) {
            auto request = queue::DeliveryRequest::from_frame(std::move(*frame));
            if (!request)
                co_return std::move(request.error());
            if (request->file && !stopping_)
                deliveries_.spawn(deliver(std::move(*request)));
            else
                queue::post_done(channel_, queue::DeliveryDone::busy(request->serial));
        } else if (frame->type == queue::DeliveryCancel::type) {
            auto cancel = queue::DeliveryCancel::from_frame(*frame);
            if (!cancel)
                co_return std::move(cancel.error());
            const auto found = running_.find(cancel->serial);
            if (found != running_.end())
                found->second->delivery.cancel();
        } else {
            co_return Error(ErrorKind::Corrupt, "unknown message");
        }
    }
}

Task<void> Agent::deliver(queue::DeliveryRequest request)
{
    // What cannot be reported ends the connection, and receive_requests the rest with it.
    const auto report = [this](queue::RecipientOutcome outcome) { channel_.post_or_end(outcome.to_frame()); };
    Running running(*this, request, report);
    running_[request.serial] = &running;
    running.task.spawn(attempt(running));
    co_await running.task.drained();
    running_.erase(request.serial);
    queue::post_done(channel_, running.done ? std::move(*running.done) : queue::DeliveryDone::busy(request.serial));
}

Task<void> Agent::attempt(Running& running)
{
    auto done = co_await running.delivery.run();
    running.done = std::move(done);
}

} // namespace posthouse::smtp_client
