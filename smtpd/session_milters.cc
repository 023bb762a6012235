// What milters hear of a session, and what follows from what they say. Each function is one event; it gives the reply that
// takes the place of ours, or nothing. Without milters none of them does anything.
//
// As Sendmail and Postfix have it: a client that was refused at CONNECT or HELO may go on all the same, and hears the refusal
// at each command for mail; but 421 ends the session at once.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/mail/address.h"
#include "lib/queue/content_checks.h"
#include "lib/tls/session_info.h"
#include "smtpd/milter_content.h"
#include "smtpd/milter_service.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

namespace posthouse::smtpd {

namespace {

bool ends_session(const smtp::Reply& reply)
{
    return reply.code == 421 || reply.code == 521;
}

// "FROM:<a@b> SIZE=1": "<a@b>" and the parameters as the client wrote them.
std::vector<std::string> words_of(std::string_view argument, const std::string& address)
{
    std::vector<std::string> words = {cat('<', address, '>')};
    const size_t colon = argument.find(':');
    if (colon == std::string_view::npos)
        return words;
    const auto path = mail::parse_path(ascii::trim(argument.substr(colon + 1)));
    if (path)
        for (const std::string_view word : ascii::split(path->rest, " \t"))
            words.emplace_back(word);
    return words;
}

std::string resolution(NameState state)
{
    switch (state) {
    case NameState::Found:
        return "OK";
    case NameState::Forged:
        return "FORGED";
    case NameState::Temporary:
        return "TEMP";
    default:
        return "FAIL";
    }
}

std::optional<std::string> unless_empty(std::string_view text)
{
    return text.empty() ? std::nullopt : std::optional<std::string>(text);
}

} // namespace

// The macros, from what the session knows at that moment.
class Session::MilterMacros final : public milter::MacroValues {
public:
    explicit MilterMacros(Session& session) : session_(session) {}
    std::optional<std::string> value(std::string_view name) const override;

    // Of MAIL or RCPT: address, nexthop, transport.
    std::string address, host, mailer;

private:
    std::optional<std::string> of_client(std::string_view name) const;
    std::optional<std::string> of_server(std::string_view name) const;
    std::optional<std::string> of_tls(std::string_view name) const;
    Session& session_;
};

std::optional<std::string> Session::MilterMacros::value(std::string_view name) const
{
    if (name == "i")
        return session_.mail_ ? unless_empty(session_.mail_->queue_id) : std::nullopt;
    if (name == "j")
        return session_.server_.settings.hostname;
    if (name == "mail_addr" || name == "rcpt_addr")
        return address;
    if (name == "mail_host" || name == "rcpt_host")
        return unless_empty(host);
    if (name == "mail_mailer" || name == "rcpt_mailer")
        return unless_empty(mailer);
    if (name == "auth_type")
        return unless_empty(session_.login_.method);
    if (name == "auth_authen")
        return unless_empty(session_.login_.user);
    if (name == "auth_author")
        return session_.mail_ ? unless_empty(session_.mail_->envelope.sasl_sender) : std::nullopt;
    auto found = of_client(name);
    if (!found)
        found = of_server(name);
    return found ? found : of_tls(name);
}

std::optional<std::string> Session::MilterMacros::of_client(std::string_view name) const
{
    const Client& client = session_.client_;
    if (name == "_")
        return cat(client.reverse_name, " [", client.address, ']',
                   ascii::equal(client.name, client.reverse_name) ? "" : " (may be forged)");
    if (name == "client_addr")
        return client.address;
    if (name == "client_name")
        return client.name;
    if (name == "client_port")
        return client.port.empty() ? "0" : client.port;
    if (name == "client_ptr")
        return client.reverse_name;
    if (name == "client_resolve")
        return resolution(client.state);
    if (name == "client_connections" && session_.visit_.counted())
        return cat(session_.visit_.connections());
    return std::nullopt;
}

std::optional<std::string> Session::MilterMacros::of_server(std::string_view name) const
{
    if (name == "if_name")
        return session_.server_.settings.hostname;
    const bool asks_address = name == "daemon_addr" || name == "if_addr";
    if (!asks_address && name != "daemon_port")
        return std::nullopt;
    const Client& client = session_.client_; // which knows what a proxy in front has for our address
    if (client.server_port == 0)
        return std::nullopt;
    return asks_address ? client.server_ip.to_text() : cat(client.server_port);
}

std::optional<std::string> Session::MilterMacros::of_tls(std::string_view name) const
{
    const tls::SessionInfo* info = session_.tls_info();
    if (!info)
        return std::nullopt;
    if (name == "tls_version")
        return info->protocol;
    if (name == "cipher")
        return info->cipher;
    if (name == "cipher_bits")
        return cat(info->bits_used);
    const bool trusted = info->trust >= tls::PeerTrust::Trusted;
    if (name == "cert_subject" && trusted)
        return info->subject_name;
    if (name == "cert_issuer" && trusted)
        return info->issuer_name;
    return std::nullopt;
}

// Logs what is more than to go on, in Postfix's form, and makes a refusal the reply.
std::optional<smtp::Reply> Session::heed_milters(const milter::Verdict& verdict, std::string_view where,
                                                 const Mailbox* recipient)
{
    using Kind = milter::Verdict::Kind;
    if (verdict.passes())
        return std::nullopt;
    const bool first = mail_ && (verdict.kind == Kind::Hold ? !mail_->actions.hold : !mail_->actions.discard);
    if (verdict.kind != Kind::Refuse && !first)
        return std::nullopt;
    const Case asked = make_case(where, recipient);
    std::string_view action = "milter-reject";
    std::string text = verdict.reply.to_text();
    if (verdict.kind == Kind::Hold) {
        mail_->actions.hold = true;
        action = "milter-hold";
        text = cat("milter triggers HOLD action", verdict.reason.empty() ? "" : ": ", verdict.reason);
    } else if (verdict.kind == Kind::Discard) {
        mail_->actions.discard = true;
        action = "milter-discard";
        text = "milter triggers DISCARD action";
    } else if (where == "END-OF-MESSAGE") {
        text.erase(0, text.find(' ') + 1); // Postfix's cleanup leaves the code out
    }
    log::info(asked.queue_id, ": ", action, ": ", where, " from ", client_.label(), ": ", text, log_context(asked));
    if (verdict.kind != Kind::Refuse)
        return std::nullopt;
    return verdict.reply;
}

// ---- the events

Task<std::optional<smtp::Reply>> Session::milters_connect()
{
    milters_.reset();
    if (!server_.milters)
        co_return std::nullopt;
    auto begun = co_await server_.milters->begin(client_.address);
    if (!begun) {
        log::warning("milters of ", client_.label(), ": ", begun.error().full_text());
        closing_ = true;
        co_return smtp::Reply(421, "4.3.0", cat(server_.settings.hostname, " Service unavailable"));
    }
    milters_ = std::move(*begun);
    if (!milters_)
        co_return std::nullopt;
    milter::ClientFacts facts;
    facts.name = client_.name == "unknown" ? cat('[', client_.address, ']') : client_.name;
    facts.address = client_.port.empty() && client_.address == "unknown" ? std::string() : client_.address;
    facts.v6 = !client_.ip.v4();
    facts.port = static_cast<uint16_t>(ascii::parse_unsigned(client_.port).value_or(0));
    const MilterMacros macros(*this);
    const milter::Verdict verdict = co_await milters_->chain.connect(facts, macros);
    auto refusal = heed_milters(verdict, "CONNECT");
    if (!refusal || (refusal->temporary() && !ends_session(*refusal)))
        co_return std::nullopt;
    closing_ = ends_session(*refusal);
    if (!closing_) // RFC 5321 section 3.1: 554 in place of 220
        co_return smtp::Reply(554, "", cat(server_.settings.hostname, " ESMTP not accepting connections"));
    co_return refusal;
}

Task<std::optional<smtp::Reply>> Session::milters_helo()
{
    if (!milters_ || milters_->chain.standing_refusal())
        co_return std::nullopt;
    const MilterMacros macros(*this);
    const milter::Verdict verdict = co_await milters_->chain.helo(helo_, macros);
    auto refusal = heed_milters(verdict, where_);
    if (!refusal || !ends_session(*refusal))
        co_return std::nullopt;
    co_return refusal;
}

Task<std::optional<smtp::Reply>> Session::milters_mail(std::string_view argument)
{
    if (!milters_)
        co_return std::nullopt;
    MilterMacros macros(*this);
    macros.address = mail_->sender.completed;
    if (!macros.address.empty())
        co_await find_route(macros, macros.address, milter::Stage::Mail);
    const std::vector<std::string> words = words_of(argument, mail_->sender.given);
    const milter::Verdict verdict = co_await milters_->chain.mail(words, macros);
    co_return heed_milters(verdict, where_);
}

Task<std::optional<smtp::Reply>> Session::milters_rcpt(std::string_view argument, const Mailbox& recipient)
{
    if (!milters_)
        co_return std::nullopt;
    MilterMacros macros(*this);
    macros.address = recipient.completed;
    co_await find_route(macros, recipient.completed, milter::Stage::Rcpt);
    const std::vector<std::string> words = words_of(argument, recipient.given);
    const milter::Verdict verdict = co_await milters_->chain.rcpt(words, macros);
    co_return heed_milters(verdict, where_, &recipient);
}

// For who wants to know of recipients that were refused, as Sendmail tells it: in the macros.
Task<void> Session::milters_refused_rcpt(std::string_view argument, const Mailbox& recipient, const smtp::Reply& reply)
{
    if (!milters_ || !milters_->chain.shows_refused_recipients())
        co_return;
    MilterMacros macros(*this);
    macros.address = reply.text;
    macros.host = reply.dsn;
    macros.mailer = "error";
    const std::vector<std::string> words = words_of(argument, recipient.given);
    co_await milters_->chain.refused_rcpt(words, macros);
}

// Where mail to an address would go, when a milter wants to know.
Task<void> Session::find_route(MilterMacros& macros, std::string address, milter::Stage stage)
{
    const milter::Chain& chain = milters_->chain;
    const bool is_mail = stage == milter::Stage::Mail;
    if (!chain.wants_macro(stage, is_mail ? "mail_host" : "rcpt_host")
        && !chain.wants_macro(stage, is_mail ? "mail_mailer" : "rcpt_mailer"))
        co_return;
    auto route = co_await server_.router->route(std::move(address), std::string());
    if (!route)
        co_return; // a macro less
    macros.host = route->nexthop;
    macros.mailer = route->transport;
}

Task<std::optional<smtp::Reply>> Session::milters_data()
{
    if (!milters_)
        co_return std::nullopt;
    const MilterMacros macros(*this);
    const milter::Verdict verdict = co_await milters_->chain.data(macros);
    co_return heed_milters(verdict, "DATA");
}

Task<std::optional<smtp::Reply>> Session::milters_unknown(std::string_view line)
{
    if (!milters_)
        co_return std::nullopt;
    const MilterMacros macros(*this);
    const milter::Verdict verdict = co_await milters_->chain.unknown(line, macros);
    co_return heed_milters(verdict, "UNKNOWN");
}

// AUTH, STARTTLS and VRFY are of no use to a client that is refused.
std::optional<smtp::Reply> Session::milters_standing_refusal() const
{
    const smtp::Reply* refusal = milters_ ? milters_->chain.standing_refusal() : nullptr;
    return refusal ? std::optional(*refusal) : std::nullopt;
}

// The message, once it is all there. `facts` become those of what the milters have made of it.
Task<std::optional<smtp::Reply>> Session::milters_message(smtp::ContentFacts& facts)
{
    if (!mail_->held || mail_->actions.discard)
        co_return std::nullopt;
    const auto failed = [this](const Error& error) {
        return std::optional(answer_failure(intake_failure_reply(error)));
    };
    auto ended = co_await mail_->intake->end_content();
    if (!ended)
        co_return failed(ended.error());
    const queue::ContentCheck* checked = mail_->intake->check();
    if (checked && (checked->passes() || checked->discards()))
        co_return std::nullopt;
    MilterContent content(*mail_->held);
    auto loaded = co_await content.load(mail_->trace_size, server_.milters->settings.header_limit);
    if (!loaded)
        co_return failed(loaded.error());
    const MilterMacros macros(*this);
    const milter::Verdict verdict = co_await milters_->chain.message(content, macros);
    Mailbox last_recipient; // for the log
    if (!mail_->envelope.recipients.empty())
        last_recipient.given = mail_->envelope.recipients.back().original;
    auto refusal = heed_milters(verdict, "END-OF-MESSAGE", &last_recipient);
    if (refusal || mail_->actions.discard)
        co_return refusal;
    mail_->envelope.hold |= mail_->actions.hold;
    const bool anybody = content.change_envelope(mail_->envelope);
    if (!anybody && content.lost_recipient())
        co_return failed(Error(ErrorKind::Temporary, "4.3.0", "no recipient is left"));
    if (!anybody) {
        log::info(mail_->queue_id, ": milter-discard: END-OF-MESSAGE from ", client_.label(), ": no recipient is left");
        mail_->actions.discard = true;
        co_return std::nullopt;
    }
    content.finish(facts);
    co_return std::nullopt;
}

// A place in the queue for a message that milters will see at its end.
std::unique_ptr<queue::NewMessage> Session::hold_for_milters(std::unique_ptr<queue::NewMessage> message)
{
    if (!milters_)
        return message;
    std::unique_ptr<HeldMessage> held = server_.milters->hold(std::move(message));
    mail_->held = held.get();
    return held;
}

void Session::milters_abort()
{
    if (milters_)
        milters_->chain.abort();
}

} // namespace posthouse::smtpd
