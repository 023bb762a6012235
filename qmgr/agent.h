// Agent: one connection to one process of a transport (private/<transport>), with many deliveries on it
// at a time. Owned by its Transport, which also hears what happens to it.
#pragma once

#include "lib/base/time.h"
#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/queue/delivery_protocol.h"
#include "qmgr/destination.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace posthouse::ipc {
class Channel;
class Frame;
} // namespace posthouse::ipc

namespace posthouse::qmgr {

class Agent;

class AgentListener {
public:
    virtual ~AgentListener() = default;
    virtual void agent_ready(Agent& agent) = 0;
    virtual void agent_leaving(Agent& agent) = 0; // it takes no more: another one is needed
    virtual void recipient_answered(Delivery& delivery, queue::RecipientOutcome outcome) = 0;
    virtual void delivery_done(Agent& agent, std::unique_ptr<Delivery> delivery, queue::DeliveryDone done) = 0;
};

class Agent {
public:
    Agent(Loop& loop, AgentListener& listener);
    ~Agent();
    Agent(const Agent&) = delete;
    Agent& operator=(const Agent&) = delete;

    // How it ended, for the transport to judge.
    class End {
    public:
        End() = default;
        bool greeted = false;  // it said hello
        bool answered = false; // it completed a delivery
        std::string reason;
        std::vector<std::unique_ptr<Delivery>> lost;
    };
    // Connects, and serves until the agent goes away or has had nothing to do for a while.
    Task<End> run(std::string socket_path);

    bool ready() const { return ready_; }
    size_t load() const { return running_.size(); }
    bool has_room() const; // also: it reads what it gets
    void retire();    // no more deliveries: it ends with the last one that runs
    bool retiring() const { return retiring_; }
    void slow_down(); // it was busy: give it no more than it has now

    // Needs has_room(). `request.serial` is set here.
    void send(std::unique_ptr<Delivery> delivery, queue::DeliveryRequest request);

    // Asks it to give up what can be given up without a duplicate: `message` is to go.
    void cancel(const Message& message);

private:
    Task<std::string> converse(std::string socket_path);
    Task<std::string> receive_results();
    bool take_outcome(queue::RecipientOutcome outcome);
    bool take_done(queue::DeliveryDone done);
    bool take_frame(const ipc::Frame& frame);

    Loop& loop_;
    AgentListener& listener_;
    std::unique_ptr<ipc::Channel> channel_;
    std::unordered_map<uint64_t, std::unique_ptr<Delivery>> running_;
    uint64_t last_serial_ = 0;
    size_t capacity_ = 0;
    Instant last_heard_;
    bool ready_ = false;
    bool answered_ = false;
    bool retiring_ = false;
};

} // namespace posthouse::qmgr
