// How a session ends: the last word to the client, and what the log says of it all.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/tls/stream.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

#include <cerrno>
#include <ctime>

namespace posthouse::smtpd {

namespace {

// "Jan  4 15:42:00"
std::string local_time()
{
    const time_t now = std::time(nullptr);
    tm parts{};
    ::localtime_r(&now, &parts);
    char text[32];
    return std::string(text, std::strftime(text, sizeof text, "%b %e %H:%M:%S", &parts));
}

} // namespace

// A client that is merely slow, or writes without end, hears why the connection ends.
Task<Result<void>> Session::say_goodbye(const Error& error)
{
    const Deadline soon = Deadline::after(Duration::seconds(5));
    if (error.kind() == ErrorKind::TimedOut)
        co_return co_await chat_.send(
            smtp::Reply(421, "4.4.2", cat(server_.settings.hostname, " Error: timeout exceeded")), soon);
    if (server_.stopping)
        co_return co_await chat_.send(
            smtp::Reply(421, "4.3.2", cat(server_.settings.hostname, " Service is shutting down")), soon);
    if (error.errno_value() == ENOMEM)
        co_return co_await chat_.send(
            smtp::Reply(421, "4.3.0", cat(server_.settings.hostname, " Error: out of memory")), soon);
    if (error.kind() == ErrorKind::Permanent)
        co_return co_await chat_.send(smtp::Reply(500, "5.5.2", "Error: line too long"), soon);
    co_return Result<void>();
}

FooterFacts Session::footer_facts() const
{
    const auto part = [](const std::string& address, bool domain) {
        const size_t at = address.rfind('@');
        return domain ? (at == std::string::npos ? std::string() : address.substr(at + 1)) : address.substr(0, at);
    };
    const std::string sender = mail_ ? mail_->sender.given : std::string();
    const std::string recipient = mail_ ? mail_->recipient : std::string();
    FooterFacts facts;
    facts.add("client", client_.label());
    facts.add("client_address", client_.address);
    facts.add("client_name", client_.name);
    facts.add("client_port", client_.port);
    facts.add("reverse_client_name", client_.reverse_name);
    facts.add("helo_name", helo_);
    facts.add("localtime", local_time());
    facts.add("mail_name", server_.settings.mail_name);
    facts.add("myhostname", server_.settings.hostname);
    facts.add("server_name", server_.settings.hostname);
    facts.add("sender", sender);
    facts.add("sender_name", part(sender, false));
    facts.add("sender_domain", part(sender, true));
    facts.add("recipient", recipient);
    facts.add("recipient_name", part(recipient, false));
    facts.add("recipient_domain", part(recipient, true));
    facts.add("sasl_username", login_.user);
    return facts;
}

void Session::log_end(const Result<void>& ended) const
{
    if (!ended && !closing_) {
        const bool in_content = content_bytes_ > 0;
        const std::string after = in_content ? cat(where_, " (", content_bytes_, " bytes)") : std::string(where_);
        const std::string_view what = server_.stopping                                 ? "server stops"
                                      : ended.error().kind() == ErrorKind::TimedOut  ? "timeout"
                                      : ended.error().kind() == ErrorKind::Permanent ? "too long line"
                                      : ended.error().errno_value() == ENOMEM        ? "out of memory"
                                                                                     : "lost connection";
        log::info(what, " after ", after, " from ", client_.label());
    }
    log::info("disconnect from ", client_.label(), command_summary());
}

// " ehlo=1 mail=1 rcpt=0/1 quit=1 commands=3/4": of each command how many succeeded, of how many if not all.
std::string Session::command_summary() const
{
    const auto append = [](std::string& text, const std::string& name, size_t good, size_t all) {
        append_to(text, ' ', name, '=', good);
        if (good != all)
            append_to(text, '/', all);
    };
    std::string text;
    size_t good = 0;
    size_t all = 0;
    for (size_t at = 0; at < command_count; ++at) {
        if (counts_[at].all == 0)
            continue;
        append(text, ascii::lower(commands[at].name), counts_[at].good, counts_[at].all);
        good += counts_[at].good;
        all += counts_[at].all;
    }
    append(text, "commands", good, all);
    return text;
}

} // namespace posthouse::smtpd
