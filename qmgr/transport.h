// Transport: carries the deliveries of one transport to its agents, in the order that DispatchOrder
// gives: opens and closes connections to agent processes, keeps a destination with the agent that has
// its connections, applies what happened to the destination's window, and gives back what cannot be
// tried now. Knows nothing of queue files.
#pragma once

#include "lib/event/loop.h"
#include "lib/event/task_group.h"
#include "lib/queue/delivery_protocol.h"
#include "qmgr/agent.h"
#include "qmgr/dispatch_order.h"
#include "qmgr/settings.h"

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace posthouse::qmgr {

enum class Traffic : unsigned char { Mail, Probes };

// Whose deliveries these are: the scheduler, or a test. Nothing here may call back into the transport
// before it returns, except for add().
class DeliveryOwner {
public:
    virtual ~DeliveryOwner() = default;

    // The request for an agent, with the message's descriptor; asked for only when it is sent.
    virtual Result<queue::DeliveryRequest> request_for(const Delivery& delivery) = 0;
    // One recipient has its outcome; `delivery.recipients` no longer has it.
    virtual void recipient_answered(Delivery& delivery, queue::RecipientOutcome outcome) = 0;
    // It is over. What is left in `delivery->recipients` is deferred for this reason; no agent has
    // written a log line for it.
    virtual void delivery_over(std::unique_ptr<Delivery> delivery, const std::string& dsn, const std::string& text) = 0;
};

class Transport final : private AgentListener {
public:
    Transport(Loop& loop, const TransportSettings& settings, DeliveryOwner& owner);
    ~Transport() override;
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;

    const std::string& name() const { return settings_.name; }
    TransportSettings::Kind kind() const { return settings_.kind; }
    size_t recipient_limit() const { return settings_.recipient_limit; }

    // `recipient` makes destinations of their own when a delivery takes only one. Probes have destinations of their own:
    // they neither take mail's places at a host nor declare it dead.
    Destination& destination(const std::string& nexthop, const std::string& recipient, Traffic traffic);

    // Takes it in turn, or gives it back at once when the transport or the destination is dead.
    void add(std::unique_ptr<Delivery> delivery, uint64_t& message_turn);

    void flush();                         // what was dead gets another chance now
    void pause();                         // start nothing more: qmgr is ending
    void cancel(const Message& message);  // the message is to go: give back what has not begun
    // After a reload: new limits, and new agents, which have read the new configuration as well.
    void adopt(const TransportSettings& settings);

    size_t running() const;
    size_t waiting() const { return order_.waiting(); }
    size_t agents() const { return agents_.size(); }
    size_t dead_destinations() const;

private:
    void agent_ready(Agent& agent) override;
    void agent_leaving(Agent& agent) override;
    void recipient_answered(Delivery& delivery, queue::RecipientOutcome outcome) override;
    void delivery_done(Agent& agent, std::unique_ptr<Delivery> delivery, queue::DeliveryDone done) override;

    void dispatch_soon();
    void dispatch();
    void send(Destination& destination, Agent& agent);
    Agent* agent_for(const Destination& destination) const;
    Instant open_agents_as_needed();
    Task<void> run_agent(Agent& agent);
    void agent_over(Agent& agent, Agent::End end);
    void retry_or_give_back(std::unique_ptr<Delivery> delivery);
    void note_site(Destination& destination, const queue::DeliveryDone& done);
    void give_back_all(const std::string& dsn, const std::string& text);
    void die(const std::string& reason);
    bool dead() const { return loop_.now() < dead_until_; }
    void release(Destination& destination);

    Loop& loop_;
    TransportSettings settings_;
    DeliveryOwner& owner_;
    DispatchOrder order_;
    std::unordered_map<std::string, std::unique_ptr<Destination>> destinations_;
    std::list<Destination*> idle_; // unused ones, kept for their agent and window; oldest first
    std::vector<std::unique_ptr<Agent>> agents_;
    Instant dead_until_ = Instant::from_ns(INT64_MIN);
    Instant paused_until_ = Instant::from_ns(INT64_MIN); // transport_rate_delay
    Instant next_agent_ = Instant::from_ns(INT64_MIN);
    unsigned failures_ = 0; // agents in a row that came to a bad end
    bool paused_ = false;
    bool dispatch_posted_ = false;
    Timer timer_;
    std::shared_ptr<Transport*> self_; // owners: this, and functions posted to the loop
    TaskGroup tasks_;
};

} // namespace posthouse::qmgr
