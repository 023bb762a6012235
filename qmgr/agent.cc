// The queue manager's end of the delivery protocol, see agent.h: transport.cc runs one for each connection.
#include "qmgr/agent.h"

#include "lib/base/cat.h"
#include "lib/ipc/channel.h"

#include <algorithm>
#include <sys/socket.h>
#include <utility>

namespace posthouse::qmgr {

namespace {

// master starts the process on demand, and may be throttling it.
constexpr Duration hello_time = Duration::seconds(30);
// Longer than any agent lives without work; then the process may end.
constexpr Duration idle_time = Duration::seconds(100);
// No delivery is silent for so long: the protocol's own time-outs end it before.
constexpr Duration silence_limit = Duration::seconds(3 * 3600);
// More requests than this on their way to an agent do not make it faster.
constexpr size_t most_bytes_ahead = 8 << 20;

} // namespace

Agent::Agent(Loop& loop, AgentListener& listener) : loop_(loop), listener_(listener) {}

Agent::~Agent() = default;

Task<Agent::End> Agent::run(std::string socket_path)
{
    End end;
    end.reason = co_await converse(std::move(socket_path));
    end.greeted = ready_;
    end.answered = answered_;
    ready_ = false;
    for (auto& [serial, delivery] : running_)
        end.lost.push_back(std::move(delivery));
    running_.clear();
    channel_.reset();
    co_return end;
}

Task<std::string> Agent::converse(std::string socket_path)
{
    const Deadline deadline = Deadline::after(hello_time);
    auto channel = co_await ipc::connect(loop_, socket_path, deadline);
    if (!channel)
        co_return channel.error().full_text();
    channel_ = std::move(*channel);
    auto frame = co_await channel_->receive(deadline);
    if (!frame)
        co_return frame.error().full_text();
    auto hello = queue::AgentHello::from_frame(*frame);
    if (!hello)
        co_return hello.error().full_text();
    capacity_ = std::max<size_t>(1, hello->max_concurrent);
    ready_ = true;
    listener_.agent_ready(*this);
    std::string reason = co_await receive_results();
    co_return reason;
}

Task<std::string> Agent::receive_results()
{
    last_heard_ = loop_.now();
    while (true) {
        auto frame = co_await channel_->receive(Deadline::at(loop_.now() + idle_time));
        if (frame) {
            last_heard_ = loop_.now();
            if (!take_frame(*frame))
                co_return "protocol violation by the delivery agent";
            if (retiring_ && running_.empty())
                co_return "retired";
            continue;
        }
        if (frame.error().kind() != ErrorKind::TimedOut)
            co_return frame.error().full_text();
        if (running_.empty())
            co_return "idle";
        if (loop_.now() - last_heard_ > silence_limit)
            co_return "the delivery agent does not answer";
    }
}

bool Agent::take_frame(const ipc::Frame& frame)
{
    if (frame.type == queue::RecipientOutcome::type) {
        auto outcome = queue::RecipientOutcome::from_frame(frame);
        return outcome && take_outcome(std::move(*outcome));
    }
    if (frame.type == queue::DeliveryDone::type) {
        auto done = queue::DeliveryDone::from_frame(frame);
        return done && take_done(std::move(*done));
    }
    if (frame.type == queue::AgentLeaving::type && queue::AgentLeaving::from_frame(frame)) {
        retire();
        listener_.agent_leaving(*this);
        return true;
    }
    return false;
}

bool Agent::take_outcome(queue::RecipientOutcome outcome)
{
    const auto found = running_.find(outcome.serial);
    if (found == running_.end())
        return false;
    std::vector<uint32_t>& open = found->second->recipients;
    const auto position = std::find(open.begin(), open.end(), outcome.index);
    if (position == open.end())
        return false;
    open.erase(position);
    listener_.recipient_answered(*found->second, std::move(outcome));
    return true;
}

bool Agent::take_done(queue::DeliveryDone done)
{
    for (queue::RecipientOutcome& outcome : done.outcomes)
        if (outcome.serial != done.serial || !take_outcome(std::move(outcome)))
            return false;
    done.outcomes.clear();
    auto found = running_.extract(done.serial);
    if (!found)
        return false;
    answered_ = true;
    listener_.delivery_done(*this, std::move(found.mapped()), std::move(done));
    return true;
}

void Agent::retire()
{
    retiring_ = true;
    if (channel_ && running_.empty())
        ::shutdown(channel_->fd(), SHUT_RDWR); // wakes receive()
}

bool Agent::has_room() const
{
    return ready_ && !retiring_ && running_.size() < capacity_ && channel_->queued() < most_bytes_ahead;
}

void Agent::slow_down()
{
    capacity_ = std::max<size_t>(1, running_.size());
}

void Agent::send(std::unique_ptr<Delivery> delivery, queue::DeliveryRequest request)
{
    request.serial = ++last_serial_;
    if (running_.empty())
        last_heard_ = loop_.now();
    running_.emplace(request.serial, std::move(delivery));
    // A connection that has ended shows itself to receive(): what was posted meanwhile is in running_.
    channel_->post_or_end(std::move(request).to_frame());
}

void Agent::cancel(const Message& message)
{
    for (const auto& [serial, delivery] : running_) {
        if (&delivery->message != &message)
            continue;
        delivery->cancelled = true;
        channel_->post_or_end(queue::DeliveryCancel(serial).to_frame());
    }
}

} // namespace posthouse::qmgr
