// The conversation with a before-queue filter: see proxy_filter.h.
#include "smtpd/proxy_filter.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/log/log.h"
#include "lib/smtp/client_commands.h"

#include <algorithm>
#include <utility>

namespace posthouse::smtpd {

namespace {

constexpr std::string_view this_host = "127.0.0.1";

// Facts of content that is not known yet: each line has to be looked at.
smtp::ContentFacts unknown_content()
{
    smtp::ContentFacts facts;
    facts.has_leading_dot = true;
    return facts;
}

} // namespace

Result<net::ServiceAddress> ProxySettings::parse_address(std::string_view text)
{
    if (text.starts_with("unix:") || text.starts_with("inet:"))
        return net::ServiceAddress::parse(text);
    const size_t colon = text.rfind(':');
    if (colon == std::string_view::npos || colon == 0)
        return net::ServiceAddress::parse(cat("inet:", this_host, ':', colon == 0 ? text.substr(1) : text));
    return net::ServiceAddress::parse(cat("inet:", text));
}

Result<std::unique_ptr<ProxySettings>> ProxySettings::open(const config::Config& config)
{
    const std::string& where = config.text("smtpd_proxy_filter");
    if (where.empty())
        return std::unique_ptr<ProxySettings>();
    auto address = parse_address(where);
    if (!address)
        return std::move(address.error()).within("smtpd_proxy_filter");
    auto settings = std::make_unique<ProxySettings>();
    settings->address = std::move(*address);
    settings->ehlo = config.text("smtpd_proxy_ehlo");
    settings->timeout = config.duration("smtpd_proxy_timeout");
    for (const std::string& option : config.list("smtpd_proxy_options")) {
        if (!ascii::equal(option, "speed_adjust"))
            return Error(ErrorKind::Config, cat("smtpd_proxy_options: unknown option: ", option));
        settings->speed_adjust = true;
    }
    return settings;
}

ProxyFilter::ProxyFilter(const ProxySettings& settings, Loop& loop, std::function<net::Resolver&()> resolver,
                         const mail::Envelope& envelope)
    : settings_(settings), loop_(loop), resolver_(std::move(resolver)), envelope_(envelope),
      writer_(unknown_content(), 0), held_(settings.speed_adjust ? std::make_unique<Spooled>(*settings.spool) : nullptr)
{
}

ProxyFilter::~ProxyFilter() = default;

// What goes wrong between us and the filter is nobody else's business.
smtp::Reply ProxyFilter::failed(std::string_view doing, const Error& error)
{
    log::warning("proxy filter ", settings_.address.to_text(), ": ", doing, ": ", error.full_text());
    chat_.reset();
    socket_.reset();
    return smtp::Reply(451, "4.3.0", "Error: content filter failure");
}

ProxyFilter::Answer ProxyFilter::ask(std::string_view command)
{
    if (!chat_)
        co_return Error::disconnected("no connection");
    const Deadline deadline = Deadline::after(settings_.timeout);
    chat_->queue(command);
    CO_CHECK(co_await chat_->flush(deadline));
    co_return co_await chat_->read_reply(deadline);
}

Task<Result<void>> ProxyFilter::connect()
{
    const Deadline deadline = Deadline::after(settings_.timeout);
    auto socket = co_await net::connect_to_service(loop_, settings_.address, resolver_, deadline);
    if (!socket)
        co_return std::move(socket.error());
    socket_ = std::make_unique<Socket>(loop_, std::move(*socket));
    chat_ = std::make_unique<smtp::Chat>(*socket_);
    auto greeting = co_await chat_->read_reply(deadline);
    if (!greeting)
        co_return std::move(greeting.error());
    if (!greeting->positive())
        co_return Error(ErrorKind::Temporary, cat("its greeting is ", greeting->to_text()));
    const std::string hello = cat("EHLO ", settings_.ehlo, "\r\n");
    auto answer = co_await ask(hello);
    if (!answer)
        co_return std::move(answer.error());
    if (!answer->positive())
        co_return Error(ErrorKind::Temporary, cat("it answers EHLO with ", answer->to_text()));
    features_ = smtp::Features::from_ehlo(*answer, {});
    co_return Result<void>();
}

// The connection, and what is said before the first recipient.
ProxyFilter::Refusal ProxyFilter::open()
{
    auto connected = co_await connect();
    if (!connected)
        co_return failed("connect", connected.error());
    for (const std::string& command : smtp::xforward_commands(envelope_, features_.xforward)) {
        auto answer = co_await ask(command);
        if (!answer)
            co_return failed("XFORWARD", answer.error());
        if (!answer->positive())
            log::warning("proxy filter ", settings_.address.to_text(), ": XFORWARD: ", answer->to_text());
    }
    const std::string command = smtp::mail_command(envelope_, std::nullopt, false, features_);
    auto answer = co_await ask(command);
    if (!answer)
        co_return failed("MAIL", answer.error());
    if (answer->positive())
        co_return std::nullopt;
    chat_.reset(); // another recipient begins anew
    socket_.reset();
    co_return std::move(*answer);
}

ProxyFilter::Refusal ProxyFilter::offer(const mail::Recipient& recipient)
{
    if (holds())
        co_return std::nullopt;
    if (!chat_ && envelope_.recipients.empty()) {
        auto refused = co_await open();
        if (refused)
            co_return refused;
    }
    co_return co_await send_recipient(recipient);
}

ProxyFilter::Refusal ProxyFilter::send_recipient(const mail::Recipient& recipient)
{
    const std::string command = smtp::rcpt_command(recipient, features_);
    auto answer = co_await ask(command);
    if (!answer)
        co_return failed("RCPT", answer.error());
    if (answer->positive())
        co_return std::nullopt;
    co_return std::move(*answer);
}

ProxyFilter::Refusal ProxyFilter::begin_content()
{
    if (holds())
        co_return std::nullopt;
    co_return co_await send_data_command();
}

ProxyFilter::Refusal ProxyFilter::send_data_command()
{
    auto answer = co_await ask("DATA\r\n");
    if (!answer)
        co_return failed("DATA", answer.error());
    if (answer->intermediate())
        co_return std::nullopt;
    if (answer->positive())
        co_return failed("DATA", Error(ErrorKind::Corrupt, cat("it answers ", answer->to_text())));
    co_return std::move(*answer);
}

// The whole dialogue up to the end of the content, now that it is there.
ProxyFilter::Refusal ProxyFilter::send_held()
{
    const std::unique_ptr<Spooled> held = std::move(held_);
    auto refused = co_await open();
    for (size_t at = 0; !refused && at < envelope_.recipients.size(); ++at)
        refused = co_await send_recipient(envelope_.recipients[at]);
    if (!refused)
        refused = co_await send_data_command();
    for (uint64_t sent = 0; !refused && sent < held->size();) {
        auto piece = co_await held->read(sent, SpoolFile::block_size);
        if (!piece)
            co_return failed("content", piece.error());
        sent += piece->size();
        refused = co_await send_content(*piece);
    }
    co_return refused;
}

ProxyFilter::Refusal ProxyFilter::content(std::string_view piece)
{
    if (!holds())
        co_return co_await send_content(piece);
    auto kept = co_await held_->append(piece);
    if (!kept)
        co_return failed("content", kept.error());
    co_return std::nullopt;
}

ProxyFilter::Refusal ProxyFilter::send_content(std::string_view piece)
{
    if (!chat_)
        co_return failed("content", Error::disconnected("no connection"));
    wire_.clear();
    writer_.append(piece, wire_);
    const Deadline deadline = Deadline::after(settings_.timeout);
    auto sent = co_await chat_->write(wire_, deadline);
    if (!sent)
        co_return failed("content", sent.error());
    co_return std::nullopt;
}

Task<smtp::Reply> ProxyFilter::finish()
{
    if (holds()) {
        auto refused = co_await send_held();
        if (refused)
            co_return std::move(*refused);
    }
    std::string end;
    writer_.finish(end);
    auto answer = co_await ask(end);
    if (!answer)
        co_return failed("end of content", answer.error());
    if (answer->code < 200 || answer->intermediate())
        co_return failed("end of content", Error(ErrorKind::Corrupt, cat("it answers ", answer->to_text())));
    const Deadline soon = Deadline::after(settings_.timeout);
    (void)co_await chat_->write("QUIT\r\n", soon); // its word has been given
    co_return std::move(*answer);
}

} // namespace posthouse::smtpd
