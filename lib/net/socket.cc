// Listening and connecting: see socket.h.
#include "lib/net/socket.h"

#include "lib/base/cat.h"

#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::net {

namespace {
UniqueFd make_socket(const SocketAddress& address)
{
    const int family = address.is_unix() ? AF_UNIX : address.ip.v4() ? AF_INET : AF_INET6;
    return UniqueFd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void set_option(int fd, int level, int option)
{
    const int on = 1;
    ::setsockopt(fd, level, option, &on, sizeof on);
}

// Before connect() or listen(): TCP agrees on the scale of windows then.
void set_window(int fd, int window)
{
    if (window <= 0)
        return;
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &window, sizeof window);
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
}

Result<void> bind_to(int fd, const SocketAddress& address)
{
    sockaddr_storage storage;
    const socklen_t length = address.to_sockaddr(storage);
    if (length == 0)
        return Error(ErrorKind::Config, cat("socket path too long: ", address.path));
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&storage), length) != 0)
        return Error::system(cat("bind ", address.to_text()), errno);
    return Result<void>();
}

// What a crashed predecessor left. Anything else of that name is somebody's file.
Result<void> remove_old_socket(const std::string& path)
{
    struct stat status;
    if (::lstat(path.c_str(), &status) != 0)
        return Result<void>();
    if (!S_ISSOCK(status.st_mode))
        return Error(ErrorKind::Config, cat(path, " exists and is not a socket"));
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return Error::system(cat("remove ", path), errno);
    return Result<void>();
}

// The mode belongs to the socket before it has a name: chmod() of the name could be led to another file by
// whoever may write into the directory, and root calls this for directories of the mail owner.
Result<void> bind_with_mode(int fd, const SocketAddress& address, mode_t mode)
{
    if (::fchmod(fd, mode) != 0)
        return Error::system("set permissions of a socket", errno);
    const mode_t before = ::umask(0); // bind() applies it
    auto bound = bind_to(fd, address);
    ::umask(before);
    return bound;
}

bool has_peer(int fd)
{
    sockaddr_storage storage;
    socklen_t length = sizeof storage;
    return ::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length) == 0;
}
} // namespace

Result<UniqueFd> listen_tcp(const SocketAddress& at, int backlog, int window)
{
    UniqueFd fd = make_socket(at);
    if (!fd)
        return Error::system("create socket", errno);
    set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR);
    if (!at.ip.v4())
        set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY);
    // What is accepted inherits these.
    set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY);
    set_option(fd.get(), SOL_SOCKET, SO_KEEPALIVE);
    set_window(fd.get(), window);
    RETURN_IF_ERROR(bind_to(fd.get(), at));
    if (::listen(fd.get(), backlog) != 0)
        return Error::system(cat("listen on ", at.to_text()), errno);
    return fd;
}

Result<UniqueFd> listen_unix(const std::string& path, mode_t mode, int backlog)
{
    const SocketAddress at = SocketAddress::unix_path(path);
    UniqueFd fd = make_socket(at);
    if (!fd)
        return Error::system("create socket", errno);
    RETURN_IF_ERROR(remove_old_socket(path));
    RETURN_IF_ERROR(bind_with_mode(fd.get(), at, mode));
    if (::listen(fd.get(), backlog) != 0)
        return Error::system(cat("listen on ", path), errno);
    return fd;
}

Task<Result<UniqueFd>> connect_to(Loop& loop, const SocketAddress& to, const std::optional<IpAddress>& bind_address,
                                  Deadline deadline, int window)
{
    UniqueFd fd = make_socket(to);
    if (!fd)
        co_return Error::system("create socket", errno);
    if (!to.is_unix()) {
        set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY);
        set_window(fd.get(), window);
    }
    if (bind_address) {
        // Without this a port is taken at bind, of which a busy client has too few.
        set_option(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
        CO_CHECK(bind_to(fd.get(), SocketAddress(*bind_address, 0)));
    }
    sockaddr_storage storage;
    const socklen_t length = to.to_sockaddr(storage);
    if (length == 0)
        co_return Error(ErrorKind::Config, cat("socket path too long: ", to.path));
    // A full backlog of a UNIX socket is EAGAIN and nothing to wait for: the caller tries again later.
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0)
        co_return std::move(fd);
    if (errno != EINPROGRESS)
        co_return Error::system(cat("connect to ", to.to_text()), errno);
    {
        Watch watch(loop, fd.get());
        bool connected = false;
        while (!connected) {
            const auto ready = co_await watch.writable(deadline);
            if (ready == Watch::Ready::TimedOut)
                co_return Error::timed_out(cat("connect to ", to.to_text(), ": Connection timed out"));
            int failure = 0;
            socklen_t size = sizeof failure;
            ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &failure, &size);
            if (failure != 0)
                co_return Error::system(cat("connect to ", to.to_text()), failure);
            connected = has_peer(fd.get()); // false: woken early
        }
    }
    co_return std::move(fd);
}

} // namespace posthouse::net
