// ControlDesk: qmgr's end of the control protocol on public/qmgr (mailq, postqueue, postsuper, posthouse).
// One serve() for each connection. Whole queues are walked in pieces, with a turn of the loop between
// them and no faster than the client reads.
#pragma once

#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/event/thread_pool.h"
#include "lib/queue/control_protocol.h"

#include <memory>
#include <string>
#include <utility>

namespace posthouse::ipc {
class Channel;
class Frame;
} // namespace posthouse::ipc

namespace posthouse::qmgr {

class OperatorRights;
class RouteFinder;
class Scheduler;

class ControlDesk {
public:
    // `root_acts_only`: hold, release, delete and the like are for root (an instance that root has started).
    // The socket itself is within reach of every program that runs as the mail owner.
    // `act_patience`: how long an order may wait for the end of the start's scan; less than the client waits.
    ControlDesk(Loop& loop, ThreadPool& threads, Scheduler& scheduler, RouteFinder& routes, OperatorRights& rights,
                std::string queue_directory, bool root_acts_only, Duration act_patience = Duration::seconds(90))
        : loop_(loop), threads_(threads), scheduler_(scheduler), routes_(routes), rights_(rights),
          queue_directory_(std::move(queue_directory)), root_acts_only_(root_acts_only), act_patience_(act_patience)
    {
    }

    // Until the client is done or breaks the protocol.
    Task<void> serve(std::unique_ptr<ipc::Channel> channel);

private:
    Task<bool> scan_ends_within(Duration patience);
    Task<Result<queue::ControlEnd>> answer(ipc::Channel& channel, const ipc::Frame& frame);
    Task<Result<queue::ControlEnd>> list(ipc::Channel& channel, queue::ControlList request);
    Task<Result<uint64_t>> list_maildrop(ipc::Channel& channel);
    Task<Result<queue::ControlEnd>> flush(queue::ControlFlush request);
    Task<Result<queue::ControlEnd>> act(queue::ControlAct request);
    queue::ControlEnd status() const;

    Loop& loop_;
    ThreadPool& threads_;
    Scheduler& scheduler_;
    RouteFinder& routes_;
    OperatorRights& rights_;
    std::string queue_directory_;
    bool root_acts_only_;
    Duration act_patience_;
};

} // namespace posthouse::qmgr
