// LeaseDesk: qmgr's end of the lease protocol. One serve() for each connection on private/qmgr.
#pragma once

#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/queue/slot_pool.h"

#include <cstdint>
#include <memory>

namespace posthouse::ipc {
class Channel;
class Frame;
}

namespace posthouse::queue {

class LeaseDesk {
public:
    explicit LeaseDesk(SlotPool& pool) : pool_(pool) {}

    // Until the connection ends, breaks the protocol or names a slot that it never had; then what it had leased is examined. When the task is
    // cancelled, too.
    Task<void> serve(std::unique_ptr<ipc::Channel> channel);

    // No more leases: begin() of the holders fails with 4.3.2. Commits are still taken.
    void stop() { stopped_ = true; }

private:
    Task<Result<void>> handle(ipc::Channel& channel, HolderId holder, const ipc::Frame& frame);
    Task<Result<void>> give(ipc::Channel& channel, HolderId holder, uint32_t count);

    SlotPool& pool_;
    HolderId last_holder_ = 0;
    bool stopped_ = false;
};

} // namespace posthouse::queue
