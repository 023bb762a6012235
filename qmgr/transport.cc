// The middle of a delivery's way, see transport.h: the scheduler adds it (placement.cc), dispatch() sends it to an
// agent, and what becomes of it goes back to the scheduler (results.cc).
#include "qmgr/transport.h"

#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "qmgr/message.h"

#include <algorithm>
#include <utility>

namespace posthouse::qmgr {

namespace {

// A second process is worth its memory when each one that runs has this much to do.
constexpr size_t busy_agent_load = 10;
constexpr size_t most_idle_destinations = 2000;
// How often a delivery may lose its agent before its recipients wait for the next attempt.
constexpr unsigned most_losses = 2;
constexpr Duration pause_between_agents = Duration::milliseconds(200);
constexpr Duration pause_after_failure = Duration::seconds(1);
// An agent that ends is replaced; so many in a row without one delivery, and the transport is out of order.
constexpr unsigned most_failures = 2;
constexpr const char* unavailable_dsn = "4.3.0";

} // namespace

Transport::Transport(Loop& loop, const TransportSettings& settings, DeliveryOwner& owner)
    : loop_(loop), settings_(settings), owner_(owner), timer_(loop, [this] { dispatch(); }),
      self_(std::make_shared<Transport*>(this)), tasks_(loop)
{
}

Transport::~Transport()
{
    *self_ = nullptr;
}

Destination& Transport::destination(const std::string& nexthop, const std::string& recipient, Traffic traffic)
{
    std::string key = nexthop;
    if (traffic == Traffic::Probes)
        key = cat("probes ", nexthop);
    else if (settings_.recipient_limit == 1)
        key = cat(recipient, '@', nexthop);
    auto& slot = destinations_[key];
    if (!slot)
        slot = std::make_unique<Destination>(key, nexthop, settings_.concurrency);
    return *slot;
}

void Transport::add(std::unique_ptr<Delivery> delivery, uint64_t& message_turn)
{
    Destination& destination = delivery->destination;
    if (dead()) {
        owner_.delivery_over(std::move(delivery), unavailable_dsn, "mail transport unavailable");
        return;
    }
    if (destination.window.dead(loop_.now())) {
        owner_.delivery_over(std::move(delivery), destination.dead_dsn,
                             cat("delivery temporarily suspended: ", destination.dead_text));
        return;
    }
    if (destination.idle) {
        idle_.erase(*destination.idle);
        destination.idle.reset();
    }
    order_.add(std::move(delivery), message_turn, loop_.now());
    dispatch_soon();
}

void Transport::dispatch_soon()
{
    if (dispatch_posted_ || paused_)
        return;
    dispatch_posted_ = true;
    loop_.post([self = self_] {
        if (*self != nullptr)
            (*self)->dispatch();
    });
}

void Transport::dispatch()
{
    dispatch_posted_ = false;
    const Instant now = loop_.now();
    order_.open_due(now);
    while (!paused_ && now >= paused_until_) {
        Destination* const destination = order_.next();
        Agent* const agent = destination != nullptr ? agent_for(*destination) : nullptr;
        if (agent == nullptr)
            break;
        send(*destination, *agent);
        if (settings_.transport_rate_delay > Duration())
            paused_until_ = now + settings_.transport_rate_delay;
    }
    Instant next = std::min(order_.next_opening(), open_agents_as_needed());
    if (order_.next() != nullptr && paused_until_ > now)
        next = std::min(next, paused_until_);
    timer_.set(next);
}

void Transport::send(Destination& destination, Agent& agent)
{
    std::unique_ptr<Delivery> delivery = order_.take(destination, loop_.now());
    auto request = owner_.request_for(*delivery);
    if (request) {
        request->transport = settings_.name;
        request->nexthop = destination.nexthop;
        destination.preferred = &agent;
        agent.send(std::move(delivery), std::move(*request));
        return;
    }
    destination.window.withdrawn();
    order_.window_changed(destination, loop_.now());
    owner_.delivery_over(std::move(delivery), std::string(request.error().dsn()), request.error().full_text());
    release(destination);
}

Agent* Transport::agent_for(const Destination& destination) const
{
    Agent* best = nullptr;
    for (const auto& agent : agents_) {
        if (!agent->has_room())
            continue;
        if (agent.get() == destination.preferred)
            return agent.get();
        if (best == nullptr || agent->load() < best->load())
            best = agent.get();
    }
    return best;
}

// The time to look again, when it is known.
Instant Transport::open_agents_as_needed()
{
    if (paused_ || dead())
        return Instant::never();
    size_t at_work = 0;
    for (const auto& agent : agents_) {
        if (agent->retiring())
            continue;
        if (!agent->ready() || agent->load() < busy_agent_load)
            return Instant::never();
        ++at_work;
    }
    if (at_work >= settings_.process_limit || (at_work == 0 && order_.waiting() == 0))
        return Instant::never();
    if (loop_.now() < next_agent_)
        return next_agent_;
    next_agent_ = loop_.now() + pause_between_agents;
    AgentListener& listener = *this;
    agents_.push_back(std::make_unique<Agent>(loop_, listener));
    tasks_.spawn(run_agent(*agents_.back()));
    return Instant::never();
}

Task<void> Transport::run_agent(Agent& agent)
{
    Agent::End end = co_await agent.run(settings_.socket_path);
    agent_over(agent, std::move(end));
}

void Transport::agent_ready(Agent&)
{
    dispatch_soon();
}

void Transport::agent_leaving(Agent&)
{
    dispatch_soon();
}

void Transport::agent_over(Agent& agent, Agent::End end)
{
    for (auto& [key, destination] : destinations_)
        if (destination->preferred == &agent)
            destination->preferred = nullptr;
    const bool agent_was_retired = agent.retiring();
    std::erase_if(agents_, [&agent](const auto& one) { return one.get() == &agent; });
    if (end.answered)
        failures_ = 0;
    const bool failed = (!end.greeted && !agent_was_retired) || !end.lost.empty();
    if (failed) {
        if (!paused_ || !end.lost.empty())
            log::warning("connection to transport ", settings_.name, " ended: ", end.reason,
                         "; deliveries to be repeated: ", end.lost.size());
        ++failures_;
        next_agent_ = loop_.now() + pause_after_failure;
    }
    for (std::unique_ptr<Delivery>& delivery : end.lost)
        retry_or_give_back(std::move(delivery));
    const bool others = paused_ || std::any_of(agents_.begin(), agents_.end(), [](const auto& one) { return one->ready(); });
    if (failures_ >= most_failures && !others)
        die(end.reason);
    dispatch_soon();
}

// Nothing is known of a delivery whose agent has died. Once it is simply done again; when that ends in
// the same way, the message itself may be what kills agents, and it has to wait.
void Transport::retry_or_give_back(std::unique_ptr<Delivery> delivery)
{
    Destination& destination = delivery->destination;
    destination.window.withdrawn();
    order_.window_changed(destination, loop_.now());
    const bool again = paused_ || ++delivery->lost < most_losses;
    if (!delivery->recipients.empty() && again && !delivery->cancelled)
        order_.put_back(std::move(delivery), loop_.now());
    else
        owner_.delivery_over(std::move(delivery), unavailable_dsn, "unknown mail transport error");
    release(destination);
}

void Transport::recipient_answered(Delivery& delivery, queue::RecipientOutcome outcome)
{
    owner_.recipient_answered(delivery, std::move(outcome));
}

void Transport::delivery_done(Agent& agent, std::unique_ptr<Delivery> delivery, queue::DeliveryDone done)
{
    Destination& destination = delivery->destination;
    if (done.site == queue::SiteStatus::AgentBusy) {
        agent.slow_down();
        destination.preferred = nullptr;
        retry_or_give_back(std::move(delivery));
        dispatch_soon();
        return;
    }
    const std::string dsn = done.site_dsn.empty() ? unavailable_dsn : done.site_dsn;
    const std::string text = done.site_text.empty() ? "the delivery agent gave no reason" : done.site_text;
    owner_.delivery_over(std::move(delivery), dsn, text);
    note_site(destination, done);
    release(destination);
    dispatch_soon();
}

void Transport::note_site(Destination& destination, const queue::DeliveryDone& done)
{
    const Instant now = loop_.now();
    if (done.site == queue::SiteStatus::Ok)
        destination.window.reached();
    else
        destination.window.missed(now);
    destination.window.rate_pause(now);
    if (!destination.window.dead(now)) {
        order_.window_changed(destination, now);
        return;
    }
    if (done.site == queue::SiteStatus::SiteFailed) {
        destination.dead_dsn = done.site_dsn.empty() ? "4.4.1" : done.site_dsn;
        destination.dead_text = done.site_text;
    }
    for (std::unique_ptr<Delivery>& delivery : order_.drain(destination, now))
        owner_.delivery_over(std::move(delivery), destination.dead_dsn,
                             cat("delivery temporarily suspended: ", destination.dead_text));
}

void Transport::die(const std::string& reason)
{
    log::warning("transport ", settings_.name, " is unavailable for ", settings_.retry_time.whole_seconds(),
                 " seconds: ", reason);
    dead_until_ = loop_.now() + settings_.retry_time;
    failures_ = 0;
    give_back_all(unavailable_dsn, "mail transport unavailable");
}

void Transport::give_back_all(const std::string& dsn, const std::string& text)
{
    std::vector<Destination*> all;
    for (auto& [key, destination] : destinations_)
        all.push_back(destination.get());
    for (Destination* destination : all) {
        for (std::unique_ptr<Delivery>& delivery : order_.drain(*destination, loop_.now()))
            owner_.delivery_over(std::move(delivery), dsn, text);
        release(*destination);
    }
}

// Dead ones stay: that they are dead is what must be remembered.
void Transport::release(Destination& destination)
{
    if (!destination.unused() || destination.idle)
        return;
    destination.idle = idle_.insert(idle_.end(), &destination);
    while (idle_.size() > most_idle_destinations) {
        const auto oldest = std::find_if(idle_.begin(), idle_.end(),
                                         [this](Destination* one) { return !one->window.dead(loop_.now()); });
        if (oldest == idle_.end())
            return;
        const std::string key = (*oldest)->key;
        idle_.erase(oldest);
        destinations_.erase(key);
    }
}

void Transport::flush()
{
    dead_until_ = Instant::from_ns(INT64_MIN);
    next_agent_ = dead_until_;
    for (auto& [key, destination] : destinations_)
        if (destination->window.dead(loop_.now())) {
            destination->window.revive();
            order_.window_changed(*destination, loop_.now());
        }
    dispatch_soon();
}

void Transport::pause()
{
    paused_ = true;
    timer_.cancel();
}

void Transport::adopt(const TransportSettings& settings)
{
    settings_ = settings;
    for (const auto& agent : agents_)
        agent->retire();
    dispatch_soon();
}

void Transport::cancel(const Message& message)
{
    for (const auto& agent : agents_)
        agent->cancel(message);
    for (auto& [key, destination] : destinations_) {
        for (std::unique_ptr<Delivery>& delivery : order_.take_out(*destination, message, loop_.now()))
            owner_.delivery_over(std::move(delivery), "4.3.0", "delivery cancelled");
        release(*destination);
    }
}

size_t Transport::running() const
{
    size_t count = 0;
    for (const auto& agent : agents_)
        count += agent->load();
    return count;
}

size_t Transport::dead_destinations() const
{
    const Instant now = loop_.now();
    return static_cast<size_t>(std::count_if(destinations_.begin(), destinations_.end(),
                                             [now](const auto& one) { return one.second->window.dead(now); }));
}

} // namespace posthouse::qmgr
