// DNS lists in restrictions: reject_rbl_client, reject_rhsbl_*, permit_dnswl_client, permit_rhswl_client, and the text of
// a refusal (default_rbl_reply, rbl_reply_maps).
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/net/resolver.h"
#include "lib/table/maps.h"
#include "lib/trust/dns_list.h"
#include "smtpd/evaluation.h"
#include "smtpd/reject_text.h"
#include "smtpd/server.h"

namespace posthouse::smtpd {

namespace {

constexpr std::string_view unavailable = "Service unavailable";

} // namespace

// What a list of domains is asked about. The key is "" where it cannot know anything.
Evaluation::Listed Evaluation::list_question(Subject subject) const
{
    Listed question;
    question.key = subject_domain(subject);
    if (question.key.starts_with('['))
        question.key.clear();
    const Mailbox* box = mailbox(subject);
    question.what = box ? box->given : question.key;
    return question;
}

Task<trust::ListAnswer> Evaluation::ask_dns_list(const Rule& rule, std::string key)
{
    const Deadline deadline = Deadline::after(case_.server.settings.dns_timeout);
    trust::DnsList list = *rule.dns_list;
    auto answer = co_await trust::ask_list(case_.server.resolver(), std::move(list), key, deadline);
    if (answer.state == trust::ListState::Unknown)
        log::warning(key, '.', rule.dns_list->domain, ": RBL lookup error: ", answer.detail);
    co_return answer;
}

Task<Verdict> Evaluation::reject_rbl(const Rule& rule)
{
    Listed question;
    question.what = case_.client.address;
    question.key = trust::list_key(case_.client.ip);
    co_return co_await reject_listed(rule, std::move(question), Subject::Client);
}

Task<Verdict> Evaluation::reject_rhsbl(const Rule& rule)
{
    const Subject subject = static_cast<Subject>(rule.type->variant);
    Listed question = list_question(subject);
    if (question.key.empty())
        co_return Verdict();
    co_return co_await reject_listed(rule, std::move(question), subject);
}

// A list that does not answer refuses nobody.
Task<Verdict> Evaluation::reject_listed(const Rule& rule, Listed question, Subject subject)
{
    const auto answer = co_await ask_dns_list(rule, question.key);
    if (answer.state != trust::ListState::Listed)
        co_return Verdict();
    const Deadline deadline = Deadline::after(case_.server.settings.dns_timeout);
    trust::DnsList list = *rule.dns_list;
    const std::string reason = co_await trust::list_reason(case_.server.resolver(), std::move(list), question.key, deadline);

    table::Value text = co_await rbl_template(rule);
    if (!text)
        co_return lookup_failure(subject);
    const auto names = [&](std::string_view name, std::string& value) {
        if (name == "rbl_code")
            value = std::to_string(case_.server.settings.rbl_code);
        else if (name == "rbl_class")
            value = class_name(subject);
        else if (name == "rbl_domain")
            value = rule.dns_list->domain;
        else if (name == "rbl_reason" || name == "rbl_txt")
            value = log::sanitise(reason);
        else if (name == "rbl_what")
            value = question.what;
        else
            return reply_value(name, value);
        return true;
    };
    co_return rbl_verdict(expand_reply(**text, names, case_.server.settings.expansion_filter));
}

// What rbl_reply_maps has for the list as it was written, or for its domain; else the usual text.
Task<table::Value> Evaluation::rbl_template(const Rule& rule)
{
    table::Maps& maps = *case_.server.rbl_reply_maps;
    table::Value found = std::optional<std::string>();
    if (!maps.empty())
        found = co_await maps.lookup(rule.text);
    if (!maps.empty() && found && !*found)
        found = co_await maps.lookup(rule.dns_list->domain);
    if (found && !*found)
        found = std::optional<std::string>(case_.server.settings.default_rbl_reply);
    co_return found;
}

// "554 5.7.1 text": the whole reply is the administrator's.
Verdict Evaluation::rbl_verdict(Result<std::string> reply) const
{
    auto refusal = reply ? parse_refusal(*reply) : std::nullopt;
    if (!refusal) {
        log::warning("rbl response code configuration error: ", reply ? *reply : reply.error().full_text());
        return Verdict::refuse(450, "4.7.1", std::string(unavailable));
    }
    return Verdict::refuse(refusal->code, refusal->dsn.empty() ? "4.7.1" : std::string_view(refusal->dsn), refusal->text);
}

// Never for a recipient elsewhere: a stranger's list must not make a relay of us.
Task<Verdict> Evaluation::permit_listed(const Rule& rule)
{
    const bool by_address = rule.type->variant == 0;
    if (case_.recipient) {
        Result<bool> ours = co_await recipient_is_ours();
        if (!ours)
            co_return lookup_failure(Subject::Recipient);
        if (!*ours)
            co_return Verdict();
    }
    Listed question;
    if (by_address) {
        question.what = case_.client.address;
        question.key = trust::list_key(case_.client.ip);
    } else {
        question = list_question(Subject::Client);
    }
    if (question.key.empty())
        co_return Verdict();
    const auto answer = co_await ask_dns_list(rule, question.key);
    if (answer.state == trust::ListState::Listed)
        co_return co_await permitted(rule.type->name, Subject::Client);
    // What is refused now might have been permitted.
    if (answer.state == trust::ListState::Unknown && !warn_only_ && !defer_if_reject_)
        defer_if_reject_ = Verdict::refuse(450, "4.7.1", cat('<', question.what, ">: Client host rejected: ", unavailable));
    co_return Verdict();
}

// The names that every text of a refusal may use.
bool Evaluation::reply_value(std::string_view name, std::string& value) const
{
    const auto part_of = [&](const Mailbox* box, std::string_view part) {
        if (!box)
            return true; // before MAIL or RCPT
        const std::string_view domain = box->domain();
        if (part.empty())
            value = box->given.empty() ? "<>" : box->given;
        else if (part == "_domain")
            value = domain;
        else
            value = domain.empty() ? box->completed : box->completed.substr(0, box->completed.size() - domain.size() - 1);
        return part.empty() || part == "_domain" || part == "_name";
    };
    if (name.starts_with("sender"))
        return part_of(case_.sender, name.substr(6));
    if (name.starts_with("recipient"))
        return part_of(case_.recipient, name.substr(9));
    if (name == "client")
        value = case_.client.label();
    else if (name == "client_address")
        value = case_.client.address;
    else if (name == "client_name")
        value = case_.client.name;
    else if (name == "client_port")
        value = case_.client.port;
    else if (name == "reverse_client_name")
        value = case_.client.reverse_name;
    else if (name == "helo_name")
        value = case_.helo;
    else if (name == "protocol_name")
        value = case_.protocol;
    else if (name == "sasl_username")
        value = case_.login;
    else if (name == "server_name")
        value = case_.server.settings.hostname;
    else
        return false;
    return true;
}

} // namespace posthouse::smtpd
