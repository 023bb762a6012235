// The agent's side of qmgr's delivery protocol: takes requests from one connection, runs them side by side,
// answers each. See lib/queue/delivery_protocol.h.
#pragma once

#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/event/task_group.h"
#include "lib/event/thread_pool.h"
#include "lib/ipc/channel.h"
#include "smtp/delivery.h"
#include "smtp/host_search.h"
#include "smtp/session_cache.h"
#include "smtp/settings.h"

#include <cstdint>
#include <unordered_map>

namespace posthouse::smtp_client {

class Agent {
public:
    Agent(Loop& loop, ThreadPool& pool, const Settings& settings, NameService& names, SessionCache& cache, UniqueFd connection);

    // Until qmgr closes.
    Task<void> serve();
    // Asks qmgr for no more work; it closes when all that it has sent is answered. WhenDone: that is done. Soon:
    // it is given back, but for what is being sent: that waits for its answer, or it would arrive twice.
    enum class Stop : unsigned char { WhenDone, Soon };
    void stop(Stop how);

private:
    Task<Result<void>> receive_requests();
    Task<void> deliver(queue::DeliveryRequest request);
    class Running;
    Task<void> attempt(Running& running);
    void give_up_all();

    Loop& loop_;
    ThreadPool& pool_;
    const Settings& settings_;
    NameService& names_;
    SessionCache& cache_;
    ipc::Channel channel_;
    bool stopping_ = false;
    std::unordered_map<uint64_t, Running*> running_; // each lives in its task's frame
    TaskGroup deliveries_;
};

} // namespace posthouse::smtp_client
