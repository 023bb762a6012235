// Connections to a policy server, and requests over them: see policy_client.h.
#include "smtpd/policy_client.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/config/value.h"
#include "lib/event/byte_stream.h"
#include "lib/log/log.h"
#include "smtpd/policy_protocol.h"

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>

namespace posthouse::smtpd {

// ---- settings

namespace {

constexpr std::string_view prefix = "smtpd_policy_service_";

Error config_error(std::string_view text, std::string_view why)
{
    return Error(ErrorKind::Config, cat("check_policy_service ", text, ": ", why));
}

std::string_view without_braces(std::string_view text)
{
    return ascii::trim(text.substr(1, text.size() - 2));
}

bool in_braces(std::string_view text) { return text.size() >= 2 && text.front() == '{' && text.back() == '}'; }

} // namespace

PolicySettings::PolicySettings(const config::Config& config)
    : default_action(config.text("smtpd_policy_service_default_action")),
      context(config.text("smtpd_policy_service_policy_context")),
      timeout(config.duration("smtpd_policy_service_timeout")),
      max_idle(config.duration("smtpd_policy_service_max_idle")),
      max_ttl(config.duration("smtpd_policy_service_max_ttl")),
      retry_delay(config.duration("smtpd_policy_service_retry_delay")),
      request_limit(static_cast<size_t>(config.number("smtpd_policy_service_request_limit"))),
      try_limit(static_cast<size_t>(config.number("smtpd_policy_service_try_limit"))),
      connection_limit(static_cast<size_t>(config.number("smtpd_policy_service_connection_limit")))
{
}

Result<PolicySettings> PolicySettings::parse(std::string_view text, const config::Config& config)
{
    PolicySettings settings(config);
    std::vector<std::string> words(1, std::string(text));
    if (in_braces(text))
        words = config::split_list(without_braces(text));
    if (words.empty())
        return config_error(text, "no server");
    auto address = net::ServiceAddress::parse(words.front());
    if (!address)
        return config_error(text, address.error().full_text());
    settings.address = std::move(*address);
    for (size_t at = 1; at < words.size(); ++at) {
        std::string_view word = words[at];
        if (in_braces(word))
            word = without_braces(word);
        const size_t equals = word.find('=');
        if (equals == std::string_view::npos)
            return config_error(text, cat("expected name=value, not ", word));
        auto set = settings.set(ascii::trim(word.substr(0, equals)), ascii::trim(word.substr(equals + 1)));
        if (!set)
            return config_error(text, set.error().full_text());
    }
    return settings;
}

Result<void> PolicySettings::set(std::string_view name, std::string_view value)
{
    const config::Parameter* parameter = config::find_parameter(cat(prefix, name));
    if (!parameter)
        return Error(ErrorKind::Config, cat("unknown setting ", name));
    if (const auto complaint = config::complaint_about(*parameter, value))
        return Error(ErrorKind::Config, cat(name, ": ", *complaint));
    const auto number = [&] { return static_cast<size_t>(config::parse_number(value).value_or(0)); };
    const auto time = [&] { return config::time_value(*parameter, value); };
    if (name == "default_action")
        default_action = value;
    else if (name == "policy_context")
        context = value;
    else if (name == "timeout")
        timeout = time();
    else if (name == "max_idle")
        max_idle = time();
    else if (name == "max_ttl")
        max_ttl = time();
    else if (name == "retry_delay")
        retry_delay = time();
    else if (name == "request_limit")
        request_limit = number();
    else if (name == "try_limit")
        try_limit = number();
    else
        connection_limit = number();
    return Result<void>();
}

// ---- connections

struct PolicyClient::Connection {
    Connection(Loop& loop, UniqueFd fd) : stream(loop, std::move(fd)), opened(loop.now()), last_used(opened) {}
    // Open, and nothing to be read: a server that has closed it, or that talks unasked, is no use.
    bool usable() const
    {
        char byte;
        return ::recv(stream.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
    Socket stream;
    Instant opened;
    Instant last_used;
    size_t requests = 0;
};

// The right to use one of the connections, as long as it lives.
class PolicyClient::Lease {
public:
    explicit Lease(PolicyClient& client) : client_(client) { ++client_.busy_; }
    ~Lease()
    {
        --client_.busy_;
        client_.freed_.notify_one();
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    std::unique_ptr<Connection> connection; // null: not yet, or not any more
    bool reused = false;

private:
    PolicyClient& client_;
};

PolicyClient::PolicyClient(Loop& loop, PolicySettings settings, std::function<net::Resolver&()> resolver)
    : loop_(loop), settings_(std::move(settings)), resolver_(std::move(resolver)), freed_(loop),
      idle_timer_(loop, [this] { close_idle(); })
{
}

PolicyClient::~PolicyClient() = default;

std::unique_ptr<PolicyClient::Connection> PolicyClient::take_idle()
{
    while (!idle_.empty()) {
        std::unique_ptr<Connection> connection = std::move(idle_.back());
        idle_.pop_back();
        if (loop_.now() - connection->opened < settings_.max_ttl && connection->usable())
            return connection;
    }
    return nullptr;
}

void PolicyClient::give_back(std::unique_ptr<Connection> connection)
{
    connection->last_used = loop_.now();
    if (settings_.request_limit > 0 && connection->requests >= settings_.request_limit)
        return;
    idle_.push_back(std::move(connection));
    if (!idle_timer_.active())
        idle_timer_.set(loop_.now() + settings_.max_idle);
}

void PolicyClient::close_idle()
{
    const Instant now = loop_.now();
    const auto old = [&](const std::unique_ptr<Connection>& c) {
        return now - c->last_used >= settings_.max_idle || now - c->opened >= settings_.max_ttl;
    };
    idle_.erase(std::remove_if(idle_.begin(), idle_.end(), old), idle_.end());
    if (idle_.empty())
        return;
    Instant next = Instant::never();
    for (const auto& connection : idle_)
        next = std::min({next, connection->last_used + settings_.max_idle, connection->opened + settings_.max_ttl});
    idle_timer_.set(next);
}

// ---- requests

Task<std::string> PolicyClient::ask(std::string request)
{
    for (size_t tried = 1;; ++tried) {
        const Deadline deadline = Deadline::after(settings_.timeout);
        auto action = co_await ask_once(request, deadline);
        if (action)
            co_return std::move(*action);
        log::warning("problem talking to server ", settings_.address.to_text(), ": ", action.error().full_text());
        // Who has waited for all of that time in vain does not do so again: his client would be gone.
        if (tried >= settings_.try_limit || action.error().kind() == ErrorKind::TimedOut)
            co_return settings_.default_action;
        co_await sleep_for(loop_, settings_.retry_delay);
    }
}

Task<Result<void>> PolicyClient::wait_for_turn(Deadline deadline)
{
    // Who has waited is woken for a connection that becomes free: nobody who comes then takes it.
    bool waited = false;
    while (busy_ >= settings_.connection_limit || (!waited && freed_.has_waiters())) {
        waited = true;
        const bool notified = co_await freed_.wait(deadline);
        if (!notified && busy_ >= settings_.connection_limit)
            co_return Error::timed_out("all connections are busy");
    }
    co_return Result<void>();
}

// A connection that the server has closed while it was idle costs a second one, not a try.
Task<Result<std::string>> PolicyClient::ask_once(const std::string& request, Deadline deadline)
{
    CO_CHECK(co_await wait_for_turn(deadline));
    Lease lease(*this);
    lease.connection = take_idle();
    lease.reused = lease.connection != nullptr;
    auto action = co_await exchange(lease, request, deadline);
    if (!action && lease.reused && action.error().kind() == ErrorKind::Disconnected) {
        lease.connection.reset();
        action = co_await exchange(lease, request, deadline);
    }
    if (action)
        give_back(std::move(lease.connection));
    co_return action;
}

Task<Result<std::string>> PolicyClient::exchange(Lease& lease, const std::string& request, Deadline deadline)
{
    if (!lease.connection) {
        auto socket = co_await net::connect_to_service(loop_, settings_.address, resolver_, deadline);
        if (!socket)
            co_return std::move(socket.error());
        lease.connection = std::make_unique<Connection>(loop_, std::move(*socket));
    }
    Connection& connection = *lease.connection;
    ++connection.requests;
    CO_CHECK(co_await connection.stream.write_all(request, deadline));
    std::string input;
    while (true) {
        CO_CHECK(co_await connection.stream.wait_readable(deadline));
        char buffer[1024];
        auto got = co_await connection.stream.read_some(buffer, sizeof buffer, deadline);
        if (!got)
            co_return std::move(got.error());
        if (*got == 0)
            co_return Error::disconnected("connection closed before a reply");
        input.append(buffer, *got);
        auto action = parse_policy_reply(input);
        if (!action)
            co_return std::move(action.error());
        if (*action)
            co_return std::move(**action);
        if (input.size() > longest_policy_reply)
            co_return Error(ErrorKind::Corrupt, "policy server: a reply without an end");
    }
}

} // namespace posthouse::smtpd
