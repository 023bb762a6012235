// Questions and answers over a packet socket: see packet_link.h.
#include "local/packet_link.h"

#include "local/packet.h"
#include "local/worker.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sys/socket.h>
#include <vector>

namespace posthouse::local {

namespace {
int nonblocking(int fd)
{
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}
} // namespace

// Lives in the frame of ask(); leaves the map with it.
struct PacketLink::Waiting {
    Waiting(PacketLink& its_link, uint64_t its_serial) : link(its_link), serial(its_serial), changed(its_link.loop_)
    {
        link.waiting_[serial] = this;
    }
    ~Waiting() { link.waiting_.erase(serial); }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    PacketLink& link;
    uint64_t serial;
    Event changed;
    std::optional<PacketAnswer> answer;
};

PacketLink::PacketLink(Loop& loop, UniqueFd fd)
    : loop_(loop), fd_(std::move(fd)), watch_(loop, nonblocking(fd_.get())), receiver_(loop)
{
    receiver_.spawn(receive_answers());
}

Task<Result<PacketAnswer>> PacketLink::ask(std::string bytes, int fd, Deadline deadline)
{
    if (bytes.size() + serial_size > longest_packet)
        co_return Error(ErrorKind::Temporary, "4.3.0", "delivery request is too long");
    Waiting waiting(*this, ++last_serial_);
    while (!broken_ && send_packet(fd_.get(), waiting.serial, bytes, fd, MSG_DONTWAIT) < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ETOOMANYREFS)
            give_up();
        else if (deadline.passed(loop_.now()))
            co_return Error::timed_out("delivery worker is busy");
        else // its socket is full: callers limit what is under way, so this is rare
            co_await sleep_for(loop_, Duration::milliseconds(1));
    }
    while (!broken_ && !waiting.answer) {
        const bool notified = co_await waiting.changed.wait(deadline);
        if (!notified && !waiting.answer)
            co_return Error::timed_out("delivery worker gave no answer");
    }
    if (!waiting.answer)
        co_return Error::disconnected("delivery worker ended unexpectedly");
    co_return std::move(*waiting.answer);
}

// Those who wait for other answers hear of it as well: the receiver sees the end of the socket.
void PacketLink::give_up()
{
    broken_ = true;
    ::shutdown(fd_.get(), SHUT_RDWR);
}

// False when there is nothing to read now.
bool PacketLink::take_one()
{
    char bytes[8192]; // answers are short
    iovec part = {bytes, sizeof bytes};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR)
        return true;
    if (got < 0 && errno == EAGAIN)
        return false;
    UniqueFd fd = got > 0 ? descriptor_of(message) : UniqueFd();
    if (got < static_cast<ssize_t>(serial_size) || (message.msg_flags & MSG_TRUNC)) {
        give_up();
        return false;
    }
    uint64_t serial;
    memcpy(&serial, bytes, serial_size);
    const auto found = waiting_.find(serial);
    if (found == waiting_.end()) // nobody waits any more
        return true;
    found->second->answer.emplace(std::string(bytes + serial_size, static_cast<size_t>(got) - serial_size), std::move(fd));
    found->second->changed.notify_all();
    return true;
}

Task<void> PacketLink::receive_answers()
{
    while (!broken_) {
        while (take_one())
            ;
        if (!broken_)
            co_await watch_.readable(Deadline::never());
    }
    for (auto& [serial, waiting] : waiting_)
        waiting->changed.notify_all();
}

} // namespace posthouse::local
