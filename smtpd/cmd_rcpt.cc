// RCPT (RFC 5321 section 4.1.1.3, with NOTIFY and ORCPT): where relaying is decided and where unknown
// recipients are refused.
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/rewrite.h"
#include "lib/smtp/command.h"
#include "smtpd/evaluation.h"
#include "smtpd/greylist.h"
#include "smtpd/screened_client.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

namespace posthouse::smtpd {

Session::Answer Session::cmd_rcpt(const smtp::CommandLine& line)
{
    const Settings& settings = server_.settings;
    if (!mail_)
        co_return smtp::Reply(503, "5.5.1", "Error: need MAIL command");
    if (mail_->chunking)
        co_return smtp::Reply(503, "5.5.1", "Error: RCPT after BDAT");

    smtp::RcptCommand command;
    smtp::GrammarOptions options;
    options.strict_envelopes = settings.strict_envelopes;
    options.dsn = (co_await discarded_keywords() & EhloDsn) == 0;
    auto refusal = smtp::parse_rcpt(line.argument(), options, command);
    if (!refusal && command.recipient.is_null())
        refusal = smtp::Reply(501, "5.1.3", "Bad recipient address syntax");
    if (!refusal)
        refusal = check_characters(command.recipient.to_text(), mail_->envelope.smtputf8);
    if (refusal) {
        log_bad_address(*refusal, line);
        co_return std::move(*refusal);
    }

    Mailbox recipient;
    recipient.given = command.recipient.to_text();
    mail_->recipient = recipient.given;
    recipient.completed = server_.intake_tables->rewriter().complete(recipient.given);
    // RFC 5321 section 4.5.3.1.10: 452, so that the client sends the rest later.
    if (settings.recipient_limit > 0 && mail_->envelope.recipients.size() >= settings.recipient_limit) {
        forgive_ = mail_->overshoot++ < settings.recipient_overshoot_limit;
        co_return refuse(Verdict::refuse(452, "4.5.3", "Error: too many recipients"), where_, &recipient);
    }
    auto too_many = co_await count_recipient();
    if (too_many)
        co_return std::move(*too_many);
    auto denied = co_await check_recipient(recipient, CheckFor::Rcpt);
    if (!denied)
        denied = co_await limit_sending(recipient);
    if (denied) {
        co_await milters_refused_rcpt(line.argument(), recipient, *denied);
        co_return std::move(*denied);
    }
    denied = co_await milters_rcpt(line.argument(), recipient);
    if (denied)
        co_return std::move(*denied);

    mail::Recipient accepted(recipient.given);
    accepted.original = std::move(recipient.given);
    accepted.orcpt = std::move(command.orcpt);
    accepted.notify = command.notify;
    if (server_.proxy) {
        auto refused = co_await offer_to_filter(accepted);
        if (refused)
            co_return std::move(*refused);
    }
    mail_->envelope.recipients.push_back(std::move(accepted));
    mail_->recipient.clear();
    co_return smtp::Reply(250, "2.1.5", "Ok");
}

// smtpd_client_recipient_rate_limit
Task<std::optional<smtp::Reply>> Session::count_recipient()
{
    const uint32_t limit = server_.settings.recipient_rate_limit;
    const bool limited = co_await limits_apply();
    if (!visit_.counted() || !limited || limit == 0 || visit_.count_recipient(server_.loop.now()) <= limit)
        co_return std::nullopt;
    log::warning("Recipient address rate limit exceeded: ", limit, " from ", client_.label());
    co_return smtp::Reply(450, "4.7.1", cat("Error: too many recipients from ", client_.address));
}

// From VRFY nothing follows for the mail at hand, and greylisting has nothing to wait for.
Task<std::optional<smtp::Reply>> Session::check_recipient(const Mailbox& recipient, CheckFor what)
{
    if (const smtp::Reply* refusal = screened_ ? screened_->refusal() : nullptr)
        co_return refuse(Verdict::refuse(refusal->code, refusal->dsn, refusal->text), where_, &recipient);
    const Case asked = make_case(where_, &recipient);
    Actions actions;
    actions.take_deferrals(mail_ ? &mail_->actions : standing_actions_.get());
    Evaluation evaluation(asked, actions);
    Verdict verdict = co_await judge_recipient(evaluation);
    if (!verdict.refused() && server_.greylist && what == CheckFor::Rcpt)
        verdict = co_await server_.greylist->judge(asked);
    if (verdict.refused())
        co_return refuse(verdict, where_, &recipient);
    if (what == CheckFor::Rcpt)
        mail_->actions.add(actions);
    co_return std::nullopt;
}

// All lists that are due, in order; each may refuse, and none opens what another one closes.
Task<Verdict> Session::judge_recipient(Evaluation& evaluation)
{
    const Settings& settings = server_.settings;
    Stage stages[] = {Stage::Client, Stage::Helo, Stage::Sender, Stage::Relay, Stage::Recipient};
    if (!settings.relay_before_recipient)
        std::swap(stages[3], stages[4]);
    for (const Stage stage : stages) {
        if (!settings.delay_reject && stage <= Stage::Sender)
            continue;
        Verdict verdict = co_await evaluation.judge(stage);
        if (verdict.refused())
            co_return verdict;
    }
    if (settings.reject_unlisted_sender) {
        Verdict verdict = co_await evaluation.judge_unlisted(Subject::Sender);
        if (verdict.refused())
            co_return verdict;
    }
    if (settings.reject_unlisted_recipient && !settings.overrides.no_unknown_recipient_checks) {
        Verdict verdict = co_await evaluation.judge_unlisted(Subject::Recipient);
        if (verdict.refused())
            co_return verdict;
    }
    co_return evaluation.final_word();
}

} // namespace posthouse::smtpd
