// One connection from qmgr: takes delivery requests, runs them beside each other, answers each with its
// outcomes. See lib/queue/delivery_protocol.h.
#pragma once

#include "lib/base/unique_fd.h"
#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/event/task_group.h"
#include "lib/event/thread_pool.h"
#include "lib/ipc/channel.h"
#include "lib/queue/delivery_protocol.h"
#include "local/outcome.h"

#include <cstddef>
#include <string>

namespace posthouse::local {

class AgentSession {
public:
    // All outlive the session. `relay`: what the log calls us, "local" or "virtual".
    AgentSession(Loop& loop, ThreadPool& pool, RecipientDelivery& delivery, std::string relay, UniqueFd connection);
    AgentSession(const AgentSession&) = delete;
    AgentSession& operator=(const AgentSession&) = delete;

    Task<void> run(); // until qmgr closes
    void drain();     // asks qmgr for no more work; it closes when all that it has sent is done

private:
    Task<void> deliver(queue::DeliveryRequest request);
    Task<void> deliver_some(const queue::DeliveryRequest& request, const MessageHead& head, size_t& next,
                            queue::DeliveryDone& done);
    void defer_all(const queue::DeliveryRequest& request, const Error& error, queue::DeliveryDone& done);

    Loop& loop_;
    ThreadPool& pool_;
    RecipientDelivery& delivery_;
    std::string relay_;
    ipc::Channel channel_;
    bool draining_ = false;
    bool greeted_ = false;
    TaskGroup deliveries_; // last
};

} // namespace posthouse::local
