// TLS as a byte stream: see stream.h. Each step asks OpenSSL, which reads and writes the socket by itself (socket_bio.cc),
// and waits for what it says it wants.
#include "lib/tls/stream.h"

#include "lib/log/log.h"
#include "lib/tls/client_context.h"
#include "lib/tls/read_session.h"
#include "lib/tls/server_context.h"
#include "lib/tls/socket_bio.h"

#include <cerrno>
#include <sys/socket.h>

namespace posthouse::tls {

struct TlsStream::Impl {
    explicit Impl(ByteStream& its_under) : under(its_under), watch(*its_under.watch()) { socket.fd = under.fd(); }

    ByteStream& under;
    Watch& watch;
    SocketState socket;
    // Owners: the program, for the next sessions, and each stream that began with it. One of the two is null.
    std::shared_ptr<const ServerContext> server;
    std::shared_ptr<const ClientContext> client;
    ClientHello hello;
    bool name_is_known = false; // there is a certificate for it
    bool writer_waits = false;
    bool broken_output = false; // half of a record was sent
    SslPtr ssl; // the last: its callbacks use the others
};

namespace {

Error no_socket() { return Error(ErrorKind::Permanent, "TLS needs a socket"); }

} // namespace

TlsStream::TlsStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsStream::~TlsStream() = default;

int TlsStream::fd() const { return impl_->under.fd(); }

Result<std::unique_ptr<TlsStream>> TlsStream::server(std::shared_ptr<const ServerContext> context, ByteStream& under)
{
    if (!under.watch())
        return no_socket();
    auto impl = std::make_unique<Impl>(under);
    impl->ssl.reset(SSL_new(context->context()));
    BIO* bio = impl->ssl ? new_socket_bio(impl->socket) : nullptr;
    if (!bio)
        return library_error("cannot begin a TLS session", ErrorKind::Temporary);
    SSL_set_bio(impl->ssl.get(), bio, bio);
    SSL_set_app_data(impl->ssl.get(), &impl->hello);
    SSL_set_accept_state(impl->ssl.get());
    impl->server = std::move(context);
    return std::unique_ptr<TlsStream>(new TlsStream(std::move(impl)));
}

Result<std::unique_ptr<TlsStream>> TlsStream::client(std::shared_ptr<const ClientContext> context, ByteStream& under,
                                                     const ClientWish& wish)
{
    if (!under.watch())
        return no_socket();
    auto impl = std::make_unique<Impl>(under);
    auto ssl = context->begin(wish);
    if (!ssl)
        return std::move(ssl.error());
    impl->ssl.reset(*ssl);
    BIO* bio = new_socket_bio(impl->socket);
    if (!bio)
        return library_error("cannot begin a TLS session", ErrorKind::Temporary);
    SSL_set_bio(impl->ssl.get(), bio, bio);
    SSL_set_connect_state(impl->ssl.get());
    impl->client = std::move(context);
    return std::unique_ptr<TlsStream>(new TlsStream(std::move(impl)));
}

// A name that nobody knows, or a table that gives no answer: the client sees the certificate that all others see.
Task<void> TlsStream::choose_certificate()
{
    auto shown = co_await impl_->server->show_certificate_for(impl_->hello.wanted_name, impl_->ssl.get());
    if (!shown)
        log::warning(shown.error().full_text());
    impl_->name_is_known = shown && *shown;
}

Task<Result<void>> TlsStream::handshake(Deadline deadline)
{
    SSL* ssl = impl_->ssl.get();
    while (true) {
        ERR_clear_error();
        const int done = SSL_do_handshake(ssl);
        if (done == 1)
            break;
        const int why = SSL_get_error(ssl, done);
        if (why == SSL_ERROR_WANT_CLIENT_HELLO_CB) {
            co_await choose_certificate();
            continue;
        }
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            co_return failure(why);
        CO_CHECK(co_await wait_for(why, deadline));
    }
    info_ = read_session(ssl, impl_->server ? impl_->server->digest() : impl_->client->digest());
    if (impl_->name_is_known)
        info_.server_name = std::move(impl_->hello.wanted_name);
    if (impl_->client)
        impl_->client->judge(ssl, info_);
    co_return Result<void>();
}

// What went wrong, when it is neither that the socket is not ready nor the end that the peer has announced.
Error TlsStream::failure(int why) const
{
    const int error = impl_->socket.error;
    if (why == SSL_ERROR_SSL && !impl_->socket.ended && error == 0)
        return Error(ErrorKind::Permanent, "4.7.0", take_library_lines());
    ERR_clear_error();
    if (impl_->socket.ended || error == 0 || error == ECONNRESET || error == EPIPE || error == ENOTCONN)
        return Error::disconnected("lost connection");
    return Error::system("TLS", error);
}

Task<Result<void>> TlsStream::wait_for(int wish, Deadline deadline)
{
    Watch::Ready ready = Watch::Ready::Yes;
    if (wish == SSL_ERROR_WANT_READ)
        ready = co_await impl_->watch.readable(deadline);
    else
        ready = co_await impl_->watch.writable(deadline);
    if (ready == Watch::Ready::TimedOut)
        co_return Error::timed_out(wish == SSL_ERROR_WANT_READ ? "timed out while reading" : "timed out while writing");
    co_return Result<void>();
}

Task<Result<size_t>> TlsStream::read_some(char* into, size_t size, Deadline deadline)
{
    SSL* ssl = impl_->ssl.get();
    while (true) {
        ERR_clear_error();
        size_t got = 0;
        const int done = SSL_read_ex(ssl, into, size, &got);
        if (done == 1)
            co_return got;
        const int why = SSL_get_error(ssl, done);
        if (why == SSL_ERROR_ZERO_RETURN && !impl_->socket.ended)
            co_return size_t(0);
        // Reading wants to write when the peer asks for new keys: not while another waits for the same.
        const bool may_wait = why == SSL_ERROR_WANT_READ || (why == SSL_ERROR_WANT_WRITE && !impl_->writer_waits);
        if (!may_wait)
            co_return Error::disconnected("lost connection").because_of(failure(why));
        CO_CHECK(co_await wait_for(why, deadline));
    }
}

Task<Result<void>> TlsStream::write_all(std::string_view bytes, Deadline deadline)
{
    SSL* ssl = impl_->ssl.get();
    if (impl_->broken_output)
        co_return Error::disconnected("lost connection");
    while (!bytes.empty()) {
        ERR_clear_error();
        size_t sent = 0;
        const int done = SSL_write_ex(ssl, bytes.data(), bytes.size(), &sent);
        if (done == 1) {
            bytes.remove_prefix(sent);
            continue;
        }
        const int why = SSL_get_error(ssl, done);
        if (why != SSL_ERROR_WANT_WRITE)
            co_return Error::disconnected("lost connection").because_of(failure(why));
        impl_->broken_output = impl_->writer_waits = true; // if this is never resumed, it stays so
        Result<void> waited = co_await wait_for(why, deadline);
        impl_->writer_waits = false;
        if (!waited)
            co_return std::move(waited.error());
        impl_->broken_output = false;
    }
    co_return Result<void>();
}

Task<Result<void>> TlsStream::wait_readable(Deadline deadline)
{
    if (SSL_has_pending(impl_->ssl.get()) == 1)
        co_return Result<void>();
    co_return co_await impl_->under.wait_readable(deadline);
}

Task<void> TlsStream::end(Deadline deadline)
{
    SSL* ssl = impl_->ssl.get();
    if (impl_->broken_output || !SSL_is_init_finished(ssl) || impl_->socket.error != 0)
        co_return;
    while (true) {
        ERR_clear_error();
        const int done = SSL_shutdown(ssl);
        if (done >= 0 || SSL_get_error(ssl, done) != SSL_ERROR_WANT_WRITE)
            break;
        auto waited = co_await wait_for(SSL_ERROR_WANT_WRITE, deadline);
        if (!waited)
            break;
    }
    impl_->broken_output = true;
    ERR_clear_error();
}

} // namespace posthouse::tls
