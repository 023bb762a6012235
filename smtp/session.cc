// A connection from connect to EHLO, and its QUIT: see session.h. Opened by delivery.cc; the messages between are
// transaction.cc's.
#include "smtp/session.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/net/socket.h"

#include <cerrno>
#include <cstring>

namespace posthouse::smtp_client {

namespace {

constexpr Duration unlimited_connect = Duration::seconds(300); // lmtp_connect_timeout = 0

Error what_failed(const MailHost& host, const Error& error)
{
    const std::string_view reason = error.kind() == ErrorKind::TimedOut ? std::string_view("Connection timed out")
                                    : error.errno_value() != 0         ? std::string_view(std::strerror(error.errno_value()))
                                                                       : std::string_view(error.text());
    return Error(ErrorKind::Temporary, "4.4.1", cat("connect to ", host.with_port(), ": ", reason));
}

} // namespace

Session::Session(Loop& loop, const Settings& settings, MailHost host, UniqueFd socket)
    : settings_(settings), host_(std::move(host)), socket_(loop, std::move(socket)), chat_(socket_),
      opened_(loop.now())
{
}

Task<Session::Opened> Session::open(Loop& loop, const Settings& settings, MailHost host)
{
    const bool limited = settings.connect_timeout > Duration();
    const Deadline deadline = Deadline::after(limited ? settings.connect_timeout : unlimited_connect);
    const auto& bind = host.address.ip.v4() ? settings.bind_v4 : settings.bind_v6;
    std::optional<net::IpAddress> source;
    if (!host.address.is_unix())
        source = bind;
    auto socket = co_await net::connect_to(loop, host.address, source, deadline, settings.tcp_window);
    if (!socket && source && socket.error().errno_value() == EADDRNOTAVAIL && !settings.bind_enforced) {
        log::warning("smtp_bind_address ", source->to_text(), " is no address of this host: not used");
        source.reset();
        socket = co_await net::connect_to(loop, host.address, source, deadline, settings.tcp_window);
    }
    if (!socket) {
        const Error error = what_failed(host, socket.error());
        log::info(error.text());
        co_return Opened(Trouble(error));
    }
    auto session = std::make_unique<Session>(loop, settings, std::move(host), std::move(*socket));
    auto trouble = co_await session->greet();
    if (!trouble)
        trouble = co_await session->hello();
    if (!trouble)
        co_return Opened(std::move(session));
    if (!session->broken)
        co_await session->quit();
    co_return Opened(std::move(*trouble));
}

Task<std::optional<Trouble>> Session::greet()
{
    auto reply = co_await chat_.read_reply(Deadline::after(settings_.helo_timeout));
    if (!reply) {
        broken = true;
        co_return Trouble::from_stream(reply.error(), host_.with_address(), "receiving the initial server greeting");
    }
    speaks_esmtp_ = reply->text.find("ESMTP") != std::string::npos;
    if (reply->positive())
        co_return std::nullopt;
    broken = reply->code == 421;
    Trouble trouble = Trouble::from_reply(*reply, host_.name, host_.with_address(), "greeting");
    trouble.text = cat("host ", host_.with_address(), " refused to talk to me: ", reply->to_text());
    if (trouble.permanent && settings_.skip_5xx_greeting) {
        // It says more about the host than about the message: wait for a better one.
        trouble.permanent = false;
        trouble.dsn.front() = '4';
    }
    co_return trouble;
}

Task<std::optional<Trouble>> Session::hello()
{
    bool refused = false;
    if (settings_.lmtp) {
        auto trouble = co_await say_hello("LHLO", refused);
        co_return trouble;
    }
    if (!settings_.never_ehlo && (settings_.always_ehlo || speaks_esmtp_)) {
        auto trouble = co_await say_hello("EHLO", refused);
        if (!trouble || !refused)
            co_return trouble;
    }
    features_ = Features();
    auto trouble = co_await say_hello("HELO", refused);
    co_return trouble;
}

// `refused`: it answered, and does not know the command (RFC 5321 section 3.2: try the older one).
Task<std::optional<Trouble>> Session::say_hello(std::string_view verb, bool& refused)
{
    refused = false;
    const Deadline deadline = Deadline::after(settings_.helo_timeout);
    const std::string doing = cat("performing the ", verb, " handshake");
    chat_.queue(cat(verb, ' ', settings_.helo_name, "\r\n"));
    auto written = co_await chat_.flush(deadline);
    if (!written) {
        broken = true;
        co_return Trouble::from_stream(written.error(), host_.with_address(), doing);
    }
    auto reply = co_await chat_.read_reply(deadline);
    if (!reply) {
        broken = true;
        co_return Trouble::from_stream(reply.error(), host_.with_address(), doing);
    }
    if (reply->positive()) {
        if (greets_as_self(*reply))
            co_return Trouble(true, "5.4.6", cat("mail for ", host_.name, " loops back to myself"));
        if (verb != "HELO")
            features_ = Features::from_ehlo(*reply, settings_.discard_keywords);
        co_return std::nullopt;
    }
    broken = reply->code == 421;
    refused = !broken;
    co_return Trouble::from_reply(*reply, host_.name, host_.with_address(), cat(verb, " command"));
}

// A host on the mail port that has our own name is this one, however the mail got there.
bool Session::greets_as_self(const smtp::Reply& reply) const
{
    const std::string_view name = std::string_view(reply.text).substr(0, reply.text.find_first_of(" \n"));
    return !settings_.lmtp && host_.address.port == 25 && ascii::equal(name, settings_.hostname);
}

bool Session::reusable(Instant now) const
{
    return !broken && now - opened_ < settings_.reuse_time &&
           (settings_.reuse_count == 0 || messages < settings_.reuse_count);
}

Task<void> Session::quit()
{
    if (broken)
        co_return;
    broken = true;
    const Deadline deadline = Deadline::after(settings_.quit_timeout);
    chat_.queue("QUIT\r\n");
    // The mail is delivered, or not, already: whatever happens to QUIT changes nothing (RFC 5321 3.8 and
    // smtp_skip_quit_response).
    auto written = co_await chat_.flush(deadline);
    if (!written || settings_.skip_quit_response)
        co_return;
    (void)co_await chat_.read_reply(deadline);
}

} // namespace posthouse::smtp_client
