// MAIL (RFC 5321 section 4.1.1.2, with SIZE, BODY, SMTPUTF8, RET, ENVID, REQUIRETLS and AUTH).
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/rewrite.h"
#include "lib/smtp/command.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

namespace posthouse::smtpd {

namespace {

smtp::GrammarOptions grammar_for(const Settings& settings, uint32_t discarded, bool encrypted)
{
    smtp::GrammarOptions options;
    options.strict_envelopes = settings.strict_envelopes;
    options.size = (discarded & EhloSize) == 0;
    options.eight_bit = (discarded & Ehlo8bitMime) == 0;
    options.smtputf8 = (discarded & EhloSmtpUtf8) == 0;
    options.dsn = (discarded & EhloDsn) == 0;
    options.requiretls = encrypted && (discarded & EhloRequireTls) == 0;
    return options;
}

} // namespace

Session::Answer Session::cmd_mail(const smtp::CommandLine& line)
{
    const Settings& settings = server_.settings;
    if (settings.helo_required && helo_.empty())
        co_return smtp::Reply(503, "5.5.1", "Error: send HELO/EHLO first");
    if (mail_)
        co_return smtp::Reply(503, "5.5.1", "Error: nested MAIL command");

    const uint32_t discarded = co_await discarded_keywords();
    smtp::MailCommand command;
    auto refusal = smtp::parse_mail(line.argument(), grammar_for(settings, discarded, tls_ != nullptr), command);
    if (!refusal)
        refusal = check_characters(command.sender.to_text(), command.smtputf8);
    if (refusal) {
        log_bad_address(*refusal, line);
        co_return std::move(*refusal);
    }
    const bool limited = co_await limits_apply();
    if (visit_.counted() && limited && settings.message_rate_limit > 0
        && visit_.count_message(server_.loop.now()) > settings.message_rate_limit) {
        log::warning("Message delivery request rate limit exceeded: ", settings.message_rate_limit, " from ", client_.label());
        co_return smtp::Reply(450, "4.7.1", cat("Error: too much mail from ", client_.address));
    }
    if (settings.message_size_limit > 0 && command.size.value_or(0) > static_cast<uint64_t>(settings.message_size_limit))
        co_return refuse(Verdict::refuse(552, "5.3.4", "Message size exceeds fixed limit"), where_);
    if (!server_.has_room())
        co_return refuse(Verdict::refuse(452, "4.3.1", "Insufficient system storage"), where_);

    begin_mail(std::move(command));
    const bool legacy = co_await legacy_line_ends();
    if (legacy)
        mail_->reader = smtp::DataReader(smtp::DataReader::LineEnds::Legacy);
    if (!settings.delay_reject) {
        auto denied = co_await judge_stage(Stage::Sender, where_);
        if (denied) {
            reset_mail();
            co_return std::move(*denied);
        }
    }
    auto refused = co_await milters_mail(line.argument());
    if (refused) {
        reset_mail();
        co_return std::move(*refused);
    }
    co_return smtp::Reply(250, "2.1.0", "Ok");
}

void Session::begin_mail(smtp::MailCommand command)
{
    chunks_refused_ = false;
    mail_ = std::make_unique<Transaction>();
    mail_->sender.given = command.sender.to_text();
    if (!command.sender.is_null())
        mail_->sender.completed = server_.intake_tables->rewriter().complete(mail_->sender.given);
    mail_->declared_size = command.size.value_or(0);
    mail::Envelope& envelope = mail_->envelope;
    envelope.sender = mail_->sender.given;
    // RFC 4954 section 5: what a client says of who wrote the message counts when we know who the client is.
    if (!login_.user.empty() && command.auth && *command.auth != "<>")
        envelope.sasl_sender = std::move(*command.auth);
    envelope.envid = std::move(command.envid);
    envelope.ret = command.ret;
    envelope.smtputf8 = command.smtputf8;
    envelope.requiretls = command.requiretls;
    envelope.body_8bit = command.body == smtp::Body::EightBitMime;
    if (standing_actions_)
        mail_->actions = *standing_actions_;
}

// RFC 6531 section 3.5: an address beyond ASCII needs the SMTPUTF8 parameter.
std::optional<smtp::Reply> Session::check_characters(std::string_view address, bool smtputf8) const
{
    // A command that is given the address could take it for an option; quotes would be gone by then.
    if (!server_.settings.allow_hyphen_first && (address.starts_with('-') || address.starts_with("\"-")))
        return smtp::Reply(501, "5.1.3", "Bad address syntax: it begins with a hyphen");
    if (smtputf8 || !server_.settings.strict_smtputf8 || ascii::all_7bit(address))
        return std::nullopt;
    return smtp::Reply(553, "5.6.7", "Must declare SMTPUTF8 to send unicode address");
}

void Session::log_bad_address(const smtp::Reply& refusal, const smtp::CommandLine& line) const
{
    if (refusal.dsn.starts_with("5.1."))
        log::warning("Illegal address syntax from ", client_.label(), " in ", where_, " command: ",
                     std::string_view(line.line).substr(0, 200));
}

} // namespace posthouse::smtpd
