// PacketLink: the router's end of a socket to the spawner or to a worker. Each question is a packet with
// a serial number, and its answer the packet that comes back with the same number.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/base/unique_fd.h"
#include "lib/event/loop.h"
#include "lib/event/notify.h"
#include "lib/event/task.h"
#include "lib/event/task_group.h"

#include <cstdint>
#include <map>
#include <string>

namespace posthouse::local {

class PacketAnswer {
public:
    PacketAnswer() = default;
    PacketAnswer(std::string its_bytes, UniqueFd its_fd) : bytes(std::move(its_bytes)), fd(std::move(its_fd)) {}
    std::string bytes;
    UniqueFd fd; // what came beside it
};

class PacketLink {
public:
    PacketLink(Loop& loop, UniqueFd fd);
    PacketLink(const PacketLink&) = delete;
    PacketLink& operator=(const PacketLink&) = delete;

    // `fd` goes along unless it is -1; it must stay open until the task ends. Disconnected when the other
    // side is gone.
    Task<Result<PacketAnswer>> ask(std::string bytes, int fd, Deadline deadline);
    bool broken() const { return broken_; }

private:
    struct Waiting;
    Task<void> receive_answers();
    bool take_one();
    void give_up();
    Loop& loop_;
    UniqueFd fd_;
    Watch watch_;
    bool broken_ = false;
    uint64_t last_serial_ = 0;
    std::map<uint64_t, Waiting*> waiting_;
    TaskGroup receiver_; // last: its task waits on the watch
};

} // namespace posthouse::local
