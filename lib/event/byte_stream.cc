// Plain sockets as byte streams: see byte_stream.h.
#include "lib/event/byte_stream.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>

namespace posthouse {

namespace {
int nonblocking(int fd)
{
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags >= 0 && !(flags & O_NONBLOCK))
        ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    return fd;
}

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

Error io_error(const char* what, int error)
{
    if (error == ECONNRESET || error == EPIPE || error == ENOTCONN)
        return Error::disconnected("lost connection");
    return Error::system(what, error);
}
} // namespace

Socket::Socket(Loop& loop, UniqueFd fd) : fd_(std::move(fd)), watch_(loop, nonblocking(fd_.get())) {}

Task<Result<size_t>> Socket::read_some(char* into, size_t size, Deadline deadline)
{
    while (true) {
        const ssize_t got = ::recv(fd_.get(), into, size, 0);
        if (got >= 0)
            co_return static_cast<size_t>(got);
        if (errno == EINTR)
            continue;
        if (!would_block(errno))
            co_return io_error("read", errno);
        const auto ready = co_await watch_.readable(deadline);
        if (ready == Watch::Ready::TimedOut)
            co_return Error::timed_out("timed out while reading");
    }
}

Task<Result<void>> Socket::write_all(std::string_view bytes, Deadline deadline)
{
    while (!bytes.empty()) {
        const ssize_t done = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (done >= 0) {
            bytes.remove_prefix(static_cast<size_t>(done));
            continue;
        }
        if (errno == EINTR)
            continue;
        if (!would_block(errno))
            co_return io_error("write", errno);
        const auto ready = co_await watch_.writable(deadline);
        if (ready == Watch::Ready::TimedOut)
            co_return Error::timed_out("timed out while writing");
    }
    co_return Result<void>();
}

Task<Result<void>> Socket::wait_readable(Deadline deadline)
{
    while (true) {
        char byte;
        const ssize_t got = ::recv(fd_.get(), &byte, 1, MSG_PEEK);
        if (got >= 0)
            co_return Result<void>();
        if (errno == EINTR)
            continue;
        if (!would_block(errno))
            co_return io_error("read", errno);
        const auto ready = co_await watch_.readable(deadline);
        if (ready == Watch::Ready::TimedOut)
            co_return Error::timed_out("timed out while waiting");
    }
}

} // namespace posthouse
