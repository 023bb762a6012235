// Sending and receiving frames: see channel.h.
#include "lib/ipc/channel.h"

#include "lib/base/cat.h"
#include "lib/ipc/codec.h"
#include "lib/log/log.h"
#include "lib/net/socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/uio.h>

namespace posthouse::ipc {

namespace {

constexpr size_t header_size = 8;
constexpr size_t chunk_size = 32768;
constexpr size_t send_at_once = 128 << 10; // queued bytes that do not wait for the end of the turn
constexpr size_t keep_capacity = 256 << 10;
constexpr size_t kernel_fd_limit = 253; // SCM_MAX_FD
constexpr int reads_in_a_row = 64;      // then others of this loop get their turn

Error corrupt(std::string text) { return Error(ErrorKind::Corrupt, std::move(text)); }

// Forgets the consumed part of a buffer when that is cheap.
void compact(std::string& buffer, size_t& begin)
{
    if (begin == buffer.size()) {
        buffer.clear();
        if (buffer.capacity() > keep_capacity)
            buffer.shrink_to_fit();
        begin = 0;
    } else if (begin > buffer.size() / 2 && begin > chunk_size) {
        buffer.erase(0, begin);
        begin = 0;
    }
}

} // namespace

Channel::Channel(Loop& loop, UniqueFd fd, ChannelLimits limits)
    : loop_(loop), fd_(std::move(fd)), limits_(limits), watch_(loop, fd_.get()), flush_timer_(loop, [this] { flush(); }),
      progress_(loop), tasks_(loop)
{
    limits_.max_fds = std::min(limits_.max_fds, kernel_fd_limit);
}

Channel::~Channel() { flush_now(); }

// ---- receiving

Task<Result<Frame>> Channel::receive(Deadline deadline)
{
    for (int reads = 0;; ++reads) {
        auto frame = decode();
        if (!frame)
            co_return std::move(frame.error());
        if (*frame)
            co_return std::move(**frame);
        if (reads == reads_in_a_row) {
            reads = 0;
            co_await sleep_until(loop_, loop_.now());
        }
        auto got = read_chunk();
        if (!got)
            co_return std::move(got.error());
        if (*got == Got::End && ended_)
            co_return *broken_;
        if (*got == Got::End)
            co_return Error::disconnected(in_.empty() ? "the peer closed the connection"
                                                      : "the peer closed the connection within a message");
        if (*got != Got::Nothing)
            continue;
        const auto ready = co_await watch_.readable(deadline);
        if (ready == Watch::Ready::TimedOut)
            co_return Error::timed_out("waiting for a message");
    }
}

Result<std::optional<Frame>> Channel::decode()
{
    const std::string_view bytes = std::string_view(in_).substr(in_begin_);
    if (bytes.empty() && !in_fds_.empty())
        return corrupt("descriptors without a message");
    if (bytes.size() < header_size)
        return std::optional<Frame>();
    Reader header(bytes.substr(0, header_size));
    const size_t length = header.u32();
    const uint16_t type = header.u16();
    const size_t fd_count = header.u16();
    if (length > limits_.max_frame)
        return corrupt(cat("a message of ", length, " bytes is above the limit of ", limits_.max_frame));
    if (fd_count > limits_.max_fds)
        return corrupt(cat("a message with ", fd_count, " descriptors is above the limit of ", limits_.max_fds));
    if (fd_count > in_fds_.size())
        return corrupt(cat("a message lacks ", fd_count - in_fds_.size(), " of its descriptors"));
    if (bytes.size() - header_size < length)
        return std::optional<Frame>();

    std::optional<Frame> frame(std::in_place, type, std::string(bytes.substr(header_size, length)));
    for (size_t i = 0; i < fd_count; ++i) {
        frame->fds.push_back(std::move(in_fds_.front()));
        in_fds_.pop_front();
    }
    in_begin_ += header_size + length;
    compact(in_, in_begin_);
    return frame;
}

Result<Channel::Got> Channel::read_chunk()
{
    char chunk[chunk_size];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kernel_fd_limit)];
    iovec part = {chunk, sizeof chunk};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t got;
    do
        got = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return Got::Nothing;
    if (got < 0)
        return Error::disconnected(cat("recvmsg: ", std::strerror(errno)));
    take_descriptors(message);
    if (got == 0)
        return Got::End;
    in_.append(chunk, static_cast<size_t>(got));
    if (message.msg_flags & MSG_CTRUNC)
        RETURN_IF_ERROR(fill_in_lost());
    return Got::Data;
}

void Channel::take_descriptors(msghdr& message)
{
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; ++i) {
            int fd;
            std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            in_fds_.emplace_back(fd);
        }
    }
}

// The kernel drops descriptors when this process may not open more. Those belong to the last frame that has begun to
// arrive: for each an empty one takes the place.
Result<void> Channel::fill_in_lost()
{
    size_t promised = 0;
    for (std::string_view bytes = std::string_view(in_).substr(in_begin_); !bytes.empty();) {
        if (bytes.size() < header_size)
            return Error(ErrorKind::Temporary, "descriptors of a message were lost: too many open files");
        Reader header(bytes.substr(0, header_size));
        const size_t length = header.u32();
        (void)header.u16();
        promised += header.u16();
        bytes.remove_prefix(std::min(bytes.size(), header_size + length));
    }
    if (promised > kernel_fd_limit + in_fds_.size())
        return corrupt("more descriptors are promised than one message can bring");
    in_fds_.resize(std::max(promised, in_fds_.size()));
    return Result<void>();
}

// ---- sending

Result<void> Channel::post(Frame frame)
{
    if (broken_)
        return *broken_;
    if (frame.body.size() > limits_.max_frame || frame.fds.size() > limits_.max_fds)
        return Error(ErrorKind::Permanent, cat("a message of ", frame.body.size(), " bytes and ", frame.fds.size(),
                                               " descriptors is above the limits"));
    if (queued() + frame.body.size() > limits_.max_queued)
        return Error(ErrorKind::Temporary, cat("the peer does not read: ", queued(), " bytes wait for it"));
    Writer header;
    header.u32(static_cast<uint32_t>(frame.body.size()));
    header.u16(frame.type);
    header.u16(static_cast<uint16_t>(frame.fds.size()));
    if (!frame.fds.empty())
        out_fds_.push_back(Attached{out_.size(), std::move(frame.fds)});
    out_ += header.bytes();
    out_ += frame.body;
    if (pumping_)
        return Result<void>();
    if (queued() >= send_at_once)
        flush();
    else if (!flush_timer_.active())
        flush_timer_.set(loop_.now());
    return Result<void>();
}

bool Channel::post_or_end(Frame frame)
{
    auto posted = post(std::move(frame));
    if (posted || broken_)
        return bool(posted);
    ended_ = true;
    break_off(std::move(posted.error()));
    ::shutdown(fd_.get(), SHUT_RDWR); // wakes receive()
    progress_.notify_all();
    return false;
}

// One sendmsg: from the first unsent byte to the next one that has descriptors of its own.
bool Channel::send_piece()
{
    size_t end = out_.size();
    bool attach = false;
    if (!out_fds_.empty()) {
        attach = out_fds_.front().position == out_begin_;
        const size_t next = attach ? 1 : 0;
        if (out_fds_.size() > next)
            end = out_fds_[next].position;
    }
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kernel_fd_limit)] = {};
    iovec piece = {out_.data() + out_begin_, end - out_begin_};
    msghdr message = {};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (attach) {
        const std::vector<UniqueFd>& fds = out_fds_.front().fds;
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
        cmsghdr* part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
        for (size_t i = 0; i < fds.size(); ++i) {
            const int fd = fds[i].get();
            std::memcpy(CMSG_DATA(part) + i * sizeof fd, &fd, sizeof fd);
        }
    }
    ssize_t sent;
    do
        sent = ::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        // ETOOMANYREFS: too many descriptors are under way; the receiver has to take some first.
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ETOOMANYREFS && errno != ENOBUFS)
            break_off(Error::disconnected(cat("sendmsg: ", std::strerror(errno))));
        return false;
    }
    if (attach)
        out_fds_.pop_front();
    out_begin_ += static_cast<size_t>(sent);
    return true;
}

void Channel::flush_now()
{
    while (queued() > 0 && send_piece())
        ;
    // Positions of waiting descriptors are counted from the start of out_.
    const size_t before = out_.size();
    compact(out_, out_begin_);
    for (Attached& attached : out_fds_)
        attached.position -= before - out_.size();
}

void Channel::flush()
{
    flush_timer_.cancel();
    flush_now();
    progress_.notify_all();
    if (queued() > 0 && !pumping_) {
        pumping_ = true;
        tasks_.spawn(pump());
    }
}

Task<void> Channel::pump()
{
    while (queued() > 0) {
        // The second wake-up covers what gives no edge: descriptors under way that the receiver has taken.
        (void)co_await watch_.writable(Deadline::after(Duration::milliseconds(200)));
        flush_now();
        progress_.notify_all();
    }
    pumping_ = false;
}

void Channel::break_off(Error why)
{
    broken_ = std::move(why);
    out_.clear();
    out_begin_ = 0;
    out_fds_.clear();
}

Task<Result<void>> Channel::wait_below(size_t bytes, Deadline deadline)
{
    if (queued() > bytes && !pumping_)
        flush();
    while (queued() > bytes) {
        const bool in_time = co_await progress_.wait(deadline); // named: g++ 12 breaks it as a condition here
        if (!in_time)
            co_return Error::timed_out("waiting for the peer to read");
    }
    if (broken_)
        co_return *broken_;
    co_return Result<void>();
}

// ---- connecting

Task<Result<std::unique_ptr<Channel>>> connect(Loop& loop, std::string path, Deadline deadline, ChannelLimits limits)
{
    const net::SocketAddress address = net::SocketAddress::unix_path(std::move(path));
    const std::optional<net::IpAddress> anywhere;
    auto fd = co_await net::connect_to(loop, address, anywhere, deadline);
    if (!fd)
        co_return std::move(fd.error());
    co_return std::make_unique<Channel>(loop, std::move(*fd), limits);
}

} // namespace posthouse::ipc
