// The connection to the authentication service, and logins on it: see auth_client.h.
#include "lib/sasl/auth_client.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace posthouse::sasl {

namespace {

// Room for what all sessions may have to say at once to a service that is busy. Nothing is queued beyond.
constexpr int send_buffer = 1 << 20;
constexpr size_t read_size = 4096;
constexpr Duration age_check_interval = Duration::seconds(1);

} // namespace

AuthClient::AuthClient(Loop& loop, net::ServiceAddress address, std::function<net::Resolver&()> resolver, AuthClientLimits limits)
    : loop_(loop), address_(std::move(address)), resolver_(std::move(resolver)), limits_(limits),
      last_failure_(ErrorKind::Disconnected, "not connected"), changed_(loop), tasks_(loop)
{
}

AuthClient::~AuthClient() = default;

Task<Result<std::vector<Mechanism>>> AuthClient::mechanisms(Deadline deadline)
{
    CO_CHECK(co_await connected(deadline));
    co_return mechanisms_;
}

// ---- the connection

// Whoever comes while it is being opened waits for the same attempt.
Task<Result<void>> AuthClient::connected(Deadline deadline)
{
    bool tried = false;
    while (!ready_) {
        if (!running_) {
            const bool fresh = failed_at_ != Instant() && loop_.now() - failed_at_ < limits_.retry_delay;
            if (tried || fresh)
                co_return Error(last_failure_);
            tried = true;
            running_ = true;
            tasks_.spawn(run());
            continue;
        }
        auto notified = co_await changed_.wait(deadline);
        if (!notified)
            co_return Error::timed_out(cat("connection to ", address_.to_text()));
    }
    co_return Result<void>();
}

Task<void> AuthClient::run()
{
    const Error why = co_await converse();
    if (!greeted_) {
        log::warning("SASL: Connect to ", address_.to_text(), " failed: ", why.full_text());
        failed_at_ = loop_.now();
    } else if (why.kind() == ErrorKind::Corrupt) {
        log::warning("SASL: ", address_.to_text(), ": ", why.full_text());
    }
    end(why);
}

void AuthClient::end(const Error& why)
{
    last_failure_ = why;
    stream_.reset();
    wipe(input_);
    mechanisms_.clear();
    ready_ = greeted_ = running_ = false;
    for (auto& [id, exchange] : std::exchange(exchanges_, {})) {
        exchange->id_ = 0;
        exchange->outcome_.emplace(Error(why));
        exchange->arrived_.notify_all();
    }
    changed_.notify_all();
}

// Until the connection ends: why it did.
Task<Error> AuthClient::converse()
{
    const Deadline soon = Deadline::after(limits_.connect_timeout);
    auto socket = co_await net::connect_to_service(loop_, address_, resolver_, soon);
    if (!socket)
        co_return std::move(socket.error());
    stream_ = std::make_unique<Socket>(loop_, std::move(*socket));
    (void)::setsockopt(stream_->fd(), SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer); // the usual one does, too
    auto greeted = co_await shake_hands(soon);
    if (!greeted)
        co_return std::move(greeted.error());
    ready_ = greeted_ = true;
    failed_at_ = Instant();
    ends_at_ = loop_.now() + limits_.lifetime;
    changed_.notify_all();
    co_return co_await take_replies();
}

// Each exchange has a deadline of its own; what is looked at here from time to time is the age of the connection.
Task<Error> AuthClient::take_replies()
{
    while (!outlived()) {
        const Instant now = loop_.now();
        const Deadline deadline = Deadline::at(now < ends_at_ ? ends_at_ : now + age_check_interval);
        auto line = co_await read_line(deadline);
        if (!line && line.error().kind() == ErrorKind::TimedOut)
            continue;
        if (!line)
            co_return std::move(line.error());
        auto reply = parse_reply(*line);
        if (!reply)
            co_return std::move(reply.error());
        if (*reply)
            deliver(std::move(**reply));
    }
    co_return Error::disconnected("the connection has had its time");
}

Task<Result<void>> AuthClient::shake_hands(Deadline deadline)
{
    CO_CHECK(post(hello_line(::getpid())));
    Handshake handshake;
    for (size_t lines = 0; lines < limits_.handshake_lines; ++lines) {
        auto line = co_await read_line(deadline);
        if (!line)
            co_return std::move(line.error()).within("handshake");
        auto done = handshake.line(*line);
        if (!done)
            co_return std::move(done.error());
        if (*done) {
            mechanisms_ = std::move(handshake.mechanisms);
            co_return Result<void>();
        }
    }
    co_return Error(ErrorKind::Corrupt, "authentication service: a handshake without an end");
}

// Without its line end. Challenges and user names only: nothing here needs wiping but what was left at the end.
Task<Result<std::string>> AuthClient::read_line(Deadline deadline)
{
    size_t searched = 0;
    while (true) {
        const size_t lf = input_.find('\n', searched);
        if (lf != std::string::npos) {
            std::string line = input_.substr(0, lf);
            input_.erase(0, lf + 1);
            co_return line;
        }
        searched = input_.size();
        if (searched > limits_.line)
            co_return Error(ErrorKind::Corrupt, "authentication service: a line without an end");
        CO_CHECK(co_await stream_->wait_readable(deadline));
        char buffer[read_size];
        auto got = co_await stream_->read_some(buffer, sizeof buffer, deadline);
        if (!got)
            co_return std::move(got.error());
        if (*got == 0)
            co_return Error::disconnected("connection closed by the authentication service");
        input_.append(buffer, *got);
    }
}

// At once or not at all: the socket's buffer is the queue. A service that has let it fill up is not well, and its
// connection ends; the reader sees that.
Result<void> AuthClient::post(std::string_view bytes)
{
    ssize_t sent;
    do
        sent = ::send(stream_->fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent == static_cast<ssize_t>(bytes.size()))
        return Result<void>();
    const int code = sent < 0 ? errno : EAGAIN;
    ready_ = false;
    (void)::shutdown(stream_->fd(), SHUT_RDWR); // whatever state it is in, the reader comes to an end
    return Error::disconnected(cat("write to the authentication service: ", std::strerror(code)));
}

uint32_t AuthClient::enter(AuthExchange& exchange)
{
    do
        ++last_id_;
    while (last_id_ == 0 || exchanges_.contains(last_id_));
    exchanges_.emplace(last_id_, &exchange);
    return last_id_;
}

// A reply to a request that nobody waits for any more is dropped.
void AuthClient::deliver(AuthReply reply)
{
    const auto found = exchanges_.find(reply.id);
    if (found == exchanges_.end())
        return;
    AuthExchange& exchange = *found->second;
    if (reply.kind != AuthReply::Kind::Continue) {
        exchange.id_ = 0;
        exchanges_.erase(found);
    }
    exchange.outcome_.emplace(std::move(reply));
    exchange.arrived_.notify_all();
}

// ---- a login

AuthExchange::AuthExchange(AuthClient& client) : client_(client), arrived_(client.loop_) {}

AuthExchange::~AuthExchange() { leave(); }

void AuthExchange::leave()
{
    if (id_ == 0)
        return;
    client_.exchanges_.erase(id_);
    (void)client_.post(cancel_line(id_)); // when it cannot be told, the connection is over anyway
    id_ = 0;
}

Task<Result<AuthReply>> AuthExchange::begin(AuthRequest request, Deadline deadline)
{
    const bool was_open = client_.ready_;
    auto first = co_await try_once(request, deadline);
    if (first || !was_open || first.error().kind() != ErrorKind::Disconnected)
        co_return first;
    co_return co_await try_once(request, deadline);
}

Task<Result<AuthReply>> AuthExchange::try_once(const AuthRequest& request, Deadline deadline)
{
    CO_CHECK(co_await client_.connected(deadline));
    id_ = client_.enter(*this);
    outcome_.reset();
    const Secret line = auth_line(id_, request);
    co_return co_await say(line, deadline);
}

Task<Result<AuthReply>> AuthExchange::answer(Secret response, Deadline deadline)
{
    if (id_ == 0)
        co_return Error::disconnected("connection lost to the authentication service");
    outcome_.reset();
    const Secret line = continue_line(id_, response);
    co_return co_await say(line, deadline);
}

Task<Result<AuthReply>> AuthExchange::say(const Secret& line, Deadline deadline)
{
    if (auto posted = client_.post(line.reveal()); !posted) {
        client_.exchanges_.erase(std::exchange(id_, 0));
        co_return std::move(posted.error());
    }
    co_return co_await reply(deadline);
}

Task<Result<AuthReply>> AuthExchange::reply(Deadline deadline)
{
    while (!outcome_) {
        auto notified = co_await arrived_.wait(deadline);
        if (!notified && !outcome_) {
            leave();
            co_return Error::timed_out("no reply of the authentication service");
        }
    }
    Result<AuthReply> outcome = std::move(*outcome_);
    outcome_.reset();
    co_return outcome;
}

} // namespace posthouse::sasl
