// Channel: typed frames over a connected UNIX stream socket, with descriptors. On the wire a frame is
//   u32 length of the body, u16 type, u16 number of descriptors, body
// (little endian); the descriptors travel as SCM_RIGHTS with the first byte of the frame, or earlier,
// in the order of the frames. Both ends are our own programs, and none trusts the other: a length or a
// count above the limits, or descriptors that no frame asked for, end the connection with an Error of
// kind Corrupt. The user logs it and drops the Channel.
//
// Made for tens of thousands of small frames a second: what is posted in one turn of the loop leaves in
// one system call, and one system call reads many frames.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/base/unique_fd.h"
#include "lib/event/loop.h"
#include "lib/event/notify.h"
#include "lib/event/task.h"
#include "lib/event/task_group.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

struct msghdr;

namespace posthouse::ipc {

// Move only.
class Frame {
public:
    Frame() = default;
    Frame(uint16_t its_type, std::string its_body) : type(its_type), body(std::move(its_body)) {}

    uint16_t type = 0;
    std::string body;
    std::vector<UniqueFd> fds; // an empty one for each that came, but this process may have no more open
};

class ChannelLimits {
public:
    ChannelLimits() = default;
    ChannelLimits(size_t body_bytes, size_t descriptors) : max_frame(body_bytes), max_fds(descriptors) {}

    size_t max_frame = 16 << 20;  // bytes of a body, both directions
    size_t max_fds = 64;          // in one frame; the kernel's own limit is 253
    size_t max_queued = 64 << 20; // bytes waiting to be sent; post() fails above it
};

class Channel {
public:
    Channel(Loop& loop, UniqueFd fd, ChannelLimits limits = ChannelLimits());
    ~Channel(); // tries once more, without waiting, to send what is queued
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    // The next frame. Errors: Disconnected (the peer closed, in the middle of a frame or not), TimedOut
    // (the Channel stays usable), Corrupt. One receiver at a time.
    Task<Result<Frame>> receive(Deadline deadline);

    // A frame that is here already, without reading from the socket; nullopt when there is none.
    Result<std::optional<Frame>> take_buffered() { return decode(); }

    // Queues it; it leaves at the end of this turn of the loop, earlier when much is queued. Never
    // suspends. Fails when the connection is broken, the frame too large, or too much is queued.
    Result<void> post(Frame frame);

    // The same for what must not get lost: when it cannot be posted the connection ends, for the peer, and
    // for receive() here (with the reason, after what has come already). So both do what they do when the
    // other one dies.
    bool post_or_end(Frame frame); // false: not posted

    // Sends what is queued as far as the socket takes it now.
    void flush_now();

    // Suspends while more than `bytes` wait to be sent.
    Task<Result<void>> wait_below(size_t bytes, Deadline deadline);

    size_t queued() const { return out_.size() - out_begin_; }
    int fd() const { return fd_.get(); }

private:
    struct Attached { // descriptors that leave with the byte at `position` of out_
        size_t position;
        std::vector<UniqueFd> fds;
    };
    enum class Got : unsigned char { Data, Nothing, End };

    Result<std::optional<Frame>> decode();
    Result<Got> read_chunk();
    void take_descriptors(msghdr& message);
    Result<void> fill_in_lost();
    bool send_piece(); // false when no more can be sent now
    void flush();
    void break_off(Error why);
    Task<void> pump();

    Loop& loop_;
    UniqueFd fd_;
    ChannelLimits limits_;
    Watch watch_;

    std::string in_;
    size_t in_begin_ = 0;
    std::deque<UniqueFd> in_fds_;

    std::string out_;
    size_t out_begin_ = 0;
    std::deque<Attached> out_fds_;
    std::optional<Error> broken_; // why nothing can be sent any more
    bool ended_ = false;          // by us
    bool pumping_ = false;
    Timer flush_timer_;
    Event progress_;
    TaskGroup tasks_; // the pump: last
};

// To the UNIX socket at `path`. Disconnected or NotFound when nobody listens.
Task<Result<std::unique_ptr<Channel>>> connect(Loop& loop, std::string path, Deadline deadline,
                                               ChannelLimits limits = ChannelLimits());

} // namespace posthouse::ipc
