// Reading and writing beneath TLS: see socket_bio.h.
#include "lib/tls/socket_bio.h"

#include <cerrno>
#include <sys/socket.h>

namespace posthouse::tls {

namespace {

SocketState& state_of(BIO* bio) { return *static_cast<SocketState*>(BIO_get_data(bio)); }

// Whether to try again when the socket is ready; else the error is kept.
bool would_block(SocketState& state)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return true;
    state.error = errno;
    return false;
}

int read_socket(BIO* bio, char* into, size_t size, size_t* got)
{
    SocketState& state = state_of(bio);
    BIO_clear_retry_flags(bio);
    const ssize_t count = ::recv(state.fd, into, size, 0);
    *got = count > 0 ? static_cast<size_t>(count) : 0;
    if (count == 0)
        state.ended = true;
    else if (count < 0 && would_block(state))
        BIO_set_retry_read(bio);
    return count > 0;
}

int write_socket(BIO* bio, const char* bytes, size_t size, size_t* done)
{
    SocketState& state = state_of(bio);
    BIO_clear_retry_flags(bio);
    const ssize_t count = ::send(state.fd, bytes, size, MSG_NOSIGNAL);
    *done = count > 0 ? static_cast<size_t>(count) : 0;
    if (count < 0 && would_block(state))
        BIO_set_retry_write(bio);
    return count > 0;
}

long control(BIO* bio, int command, long, void*)
{
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return state_of(bio).ended;
    default:
        return 0;
    }
}

const BIO_METHOD* method()
{
    static const BIO_METHOD* const made = [] {
        BIO_METHOD* fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "socket");
        if (fresh) {
            BIO_meth_set_read_ex(fresh, read_socket);
            BIO_meth_set_write_ex(fresh, write_socket);
            BIO_meth_set_ctrl(fresh, control);
        }
        return fresh;
    }();
    return made;
}

} // namespace

BIO* new_socket_bio(SocketState& state)
{
    BIO* bio = method() ? BIO_new(method()) : nullptr;
    if (bio) {
        BIO_set_data(bio, &state);
        BIO_set_init(bio, 1);
    }
    return bio;
}

} // namespace posthouse::tls
