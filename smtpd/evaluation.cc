// The walk along a restriction list, see evaluation.h: begun by session.cc and cmd_rcpt.cc. What a single restriction
// does is in rules*.cc and access.cc.
#include "smtpd/evaluation.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/mail/idn.h"
#include "lib/table/match_list.h"
#include "lib/tls/session_info.h"
#include "smtpd/server.h"

namespace posthouse::smtpd {

namespace {

constexpr int max_depth = 100; // of classes and access tables that name classes

constexpr Subject stage_subjects[stage_count] = {
    Subject::Client,    Subject::Helo,      Subject::Sender, Subject::Recipient,
    Subject::Recipient, Subject::Data,      Subject::EndOfData, Subject::Etrn,
};

// How a refusal calls it.
constexpr std::string_view subject_names[] = {
    "Client host", "Unverified Client host", "Client certificate", "SASL login name", "Helo command", "Sender address",
    "Recipient address", "Data command", "End-of-data", "Etrn command",
};

} // namespace

std::string_view Mailbox::domain() const
{
    const size_t at = completed.rfind('@');
    // An `@` inside of quotes is part of the local part.
    if (at == std::string::npos || completed.find('"', at) != std::string::npos)
        return std::string_view();
    return std::string_view(completed).substr(at + 1);
}

std::string log_context(const Case& asked)
{
    std::string text;
    if (asked.sender)
        append_to(text, "; from=<", asked.sender->given, '>');
    if (asked.recipient)
        append_to(text, asked.sender ? " " : "; ", "to=<", asked.recipient->given, '>');
    else if (!asked.only_recipient.empty())
        append_to(text, " to=<", asked.only_recipient, '>');
    const std::string_view first = asked.server.lmtp ? "LMTP" : "SMTP"; // before EHLO
    append_to(text, text.empty() ? "; " : " ", "proto=", asked.protocol.empty() ? first : asked.protocol);
    if (!asked.helo.empty())
        append_to(text, text.empty() ? "; " : " ", "helo=<", asked.helo, '>');
    return text;
}

Task<Verdict> Evaluation::judge(Stage stage)
{
    const RuleList& rules = case_.server.restrictions->list(stage);
    if (rules.empty())
        co_return Verdict();
    subject_ = stage_subjects[static_cast<size_t>(stage)];
    co_return co_await judge_list(rules);
}

Task<Verdict> Evaluation::judge_list(const RuleList& rules)
{
    for (const Rule& rule : rules) {
        const bool outer_warn_only = warn_only_;
        warn_only_ = outer_warn_only || rule.warn_only;
        Verdict verdict = co_await (this->*rule.type->judge)(rule);
        warn_only_ = outer_warn_only;
        if (verdict.refused() && rule.warn_only) {
            log::info(case_.queue_id, ": reject_warning: ", case_.where, " from ", case_.client.label(), ": ", verdict.code,
                      ' ', verdict.dsn, ' ', verdict.text, log_context(case_));
            continue;
        }
        if (verdict.refused() && defer_if_reject_ && verdict.code >= 500)
            co_return *defer_if_reject_;
        if (verdict.kind != Verdict::Kind::Dunno)
            co_return verdict;
    }
    co_return Verdict();
}

Task<Verdict> Evaluation::judge_unlisted(Subject subject)
{
    Verdict verdict = co_await unlisted(subject);
    if (verdict.refused() && defer_if_reject_ && verdict.code >= 500)
        co_return *defer_if_reject_;
    co_return verdict;
}

Verdict Evaluation::final_word() const
{
    return defer_if_permit_ ? *defer_if_permit_ : Verdict::permit();
}

void Evaluation::keep_deferrals()
{
    actions_.defer_if_permit = std::move(defer_if_permit_);
    actions_.defer_if_reject = std::move(defer_if_reject_);
}

const Mailbox* Evaluation::mailbox(Subject subject) const
{
    return subject == Subject::Sender ? case_.sender : subject == Subject::Recipient ? case_.recipient : nullptr;
}

// The domain that a rule of this subject speaks of; "" when there is none.
std::string Evaluation::subject_domain(Subject subject) const
{
    std::string_view name;
    switch (subject) {
    case Subject::Client:
        name = case_.client.name;
        break;
    case Subject::ReverseClient:
        name = case_.client.reverse_name;
        break;
    case Subject::Helo:
        name = case_.helo;
        break;
    default:
        if (const Mailbox* box = mailbox(subject))
            name = box->domain();
        break;
    }
    if (name == "unknown")
        name = std::string_view();
    if (name.ends_with('.'))
        name.remove_suffix(1);
    if (ascii::all_7bit(name))
        return std::string(name);
    return mail::domain_to_ascii(name).value_or(std::string());
}

std::string Evaluation::shown(Subject subject) const
{
    switch (subject) {
    case Subject::Client:
    case Subject::ReverseClient:
        return cat('<', case_.client.label(), '>');
    case Subject::ClientCertificate:
        return cat('<', case_.tls ? case_.tls->certificate_fingerprint : std::string(), '>');
    case Subject::Login:
        return cat('<', case_.login, '>');
    case Subject::Helo:
        return cat('<', case_.helo, '>');
    case Subject::Sender:
    case Subject::Recipient: {
        const Mailbox* box = mailbox(subject);
        return box ? cat('<', box->given, '>') : "<>";
    }
    case Subject::Data:
        return "<DATA>";
    case Subject::EndOfData:
        return "<END-OF-MESSAGE>";
    case Subject::Etrn:
        return cat('<', case_.etrn_domain, '>');
    }
    return "<>";
}

Verdict Evaluation::rejected(int code, std::string_view dsn, Subject subject, std::string_view why) const
{
    return Verdict::refuse(
        code, dsn, cat(shown(subject), ": ", subject_names[static_cast<size_t>(subject)], " rejected: ", why));
}

Verdict Evaluation::lookup_failure(Subject subject) const
{
    return Verdict::refuse(451, "4.3.0", cat(shown(subject), ": Temporary lookup failure"));
}

void Evaluation::log_action(std::string_view action, Subject subject, std::string_view what) const
{
    log::info(case_.queue_id, ": ", action, ": ", case_.where, " from ", case_.client.label(), ": ", shown(subject), ": ",
              subject_names[static_cast<size_t>(subject)], ' ', what, log_context(case_));
}

std::string_view Evaluation::class_name(Subject subject) { return subject_names[static_cast<size_t>(subject)]; }

Verdict Evaluation::configuration_error() { return Verdict::refuse(451, "4.3.5", "Server configuration error"); }

// smtpd_log_access_permit_actions. A table in it that fails means the line is written.
Task<Verdict> Evaluation::permitted(std::string_view action, Subject subject, std::string_view table)
{
    Verdict verdict = Verdict::permit();
    if (case_.server.permit_log->empty())
        co_return verdict;
    std::string name(action);
    Result<bool> wanted = co_await case_.server.permit_log->matches_string(std::move(name));
    if (wanted && !*wanted)
        co_return verdict;
    std::string what = shown(subject);
    if (what.size() > 2)
        what = what.substr(1, what.size() - 2); // without < >
    log::info(case_.queue_id, ": permit: ", case_.where, " from ", case_.client.label(), ": action=", action, " for ",
              class_name(subject), '=', what, ' ', table.empty() ? "" : "from ", table, log_context(case_));
    co_return verdict;
}

void Evaluation::log_text(std::string_view action, std::string_view text) const
{
    log::info(case_.queue_id, ": ", action, ": ", case_.where, " from ", case_.client.label(), ": ", text, log_context(case_));
}

Task<Verdict> Evaluation::refuse_for_fault(const Rule& rule)
{
    log::error(rule.text);
    co_return configuration_error();
}

Task<Verdict> Evaluation::run_class(const Rule& rule)
{
    if (depth_ >= max_depth) {
        log::warning("restriction classes are nested too deeply: ", rule.type->name);
        co_return configuration_error();
    }
    ++depth_;
    Verdict verdict = co_await judge_list(*rule.nested);
    --depth_;
    co_return verdict;
}

} // namespace posthouse::smtpd
