// Arguments of SMTP commands: see command.h.
#include "lib/smtp/command.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/mail/xtext.h"

#include <charconv>

namespace posthouse::smtp {

namespace {

constexpr size_t longest_envid = 100; // RFC 3461 section 4.4
constexpr size_t longest_orcpt = 500; // RFC 3461 section 4.2

Reply syntax(std::string_view text) { return Reply(501, "5.5.4", text); }
Reply not_known(std::string_view parameter) { return Reply(555, "5.5.4", cat("Unsupported option: ", parameter)); }

// One "KEYWORD" or "KEYWORD=value", taken off the front of `rest`.
struct Parameter {
    std::string_view keyword;
    std::string_view value;
    bool has_value = false;
    std::string_view whole;
};

Parameter take_parameter(std::string_view& rest)
{
    Parameter parameter;
    const size_t end = std::min(rest.find_first_of(" \t"), rest.size());
    parameter.whole = rest.substr(0, end);
    const size_t equals = parameter.whole.find('=');
    parameter.keyword = parameter.whole.substr(0, equals);
    if (equals != std::string_view::npos) {
        parameter.has_value = true;
        parameter.value = parameter.whole.substr(equals + 1);
    }
    rest = ascii::trim(rest.substr(end));
    return parameter;
}

// Takes "FROM:" or "TO:" and the path; what is left is parameters.
std::optional<Reply> take_path(std::string_view keyword, std::string_view argument, bool strict,
                               std::string_view usage, mail::Address& into, std::string_view& rest)
{
    if (!ascii::starts_with(argument, keyword))
        return syntax(usage);
    argument.remove_prefix(keyword.size());
    if (!strict)
        argument = ascii::trim(argument); // "FROM : <a@b>" is not taken, "FROM: <a@b>" is
    if (argument.empty())
        return syntax(usage);
    auto path = mail::parse_path(argument, mail::PathOptions(strict));
    if (!path) {
        const bool is_sender = ascii::equal(keyword, "FROM:");
        return Reply(501, is_sender ? "5.1.7" : "5.1.3",
                     cat(is_sender ? "Bad sender address syntax" : "Bad recipient address syntax"));
    }
    into = std::move(path->address);
    rest = ascii::trim(path->rest);
    return std::nullopt;
}

using MailParameterParser = std::optional<Reply> (*)(const Parameter&, MailCommand&);

std::optional<Reply> take_size(const Parameter& parameter, MailCommand& into)
{
    uint64_t size = 0;
    const char* end = parameter.value.data() + parameter.value.size();
    auto [stop, error] = std::from_chars(parameter.value.data(), end, size);
    // RFC 1870 section 6.1 allows 20 digits; a number above 64 bits is above any limit.
    if (error == std::errc::result_out_of_range && stop == end && parameter.value.size() <= 20)
        size = UINT64_MAX;
    else if (error != std::errc() || stop != end || parameter.value.size() > 20)
        return syntax("Bad message size syntax");
    into.size = size;
    return std::nullopt;
}

std::optional<Reply> take_body(const Parameter& parameter, MailCommand& into)
{
    if (ascii::equal(parameter.value, "8BITMIME"))
        into.body = Body::EightBitMime;
    else if (ascii::equal(parameter.value, "7BIT"))
        into.body = Body::SevenBit;
    else
        return not_known(parameter.whole);
    return std::nullopt;
}

std::optional<Reply> take_smtputf8(const Parameter& parameter, MailCommand& into)
{
    if (parameter.has_value)
        return syntax("Bad SMTPUTF8 parameter syntax");
    into.smtputf8 = true;
    return std::nullopt;
}

std::optional<Reply> take_requiretls(const Parameter& parameter, MailCommand& into)
{
    if (parameter.has_value)
        return syntax("Bad REQUIRETLS parameter syntax");
    into.requiretls = true;
    return std::nullopt;
}

std::optional<Reply> take_ret(const Parameter& parameter, MailCommand& into)
{
    if (into.ret != mail::Return::Unspecified)
        return syntax("RET parameter given twice");
    if (ascii::equal(parameter.value, "FULL"))
        into.ret = mail::Return::Full;
    else if (ascii::equal(parameter.value, "HDRS"))
        into.ret = mail::Return::Headers;
    else
        return syntax("Bad RET parameter syntax");
    return std::nullopt;
}

std::optional<Reply> take_envid(const Parameter& parameter, MailCommand& into)
{
    if (!into.envid.empty())
        return syntax("ENVID parameter given twice");
    auto decoded = mail::decode_xtext(parameter.value);
    if (!decoded || decoded->empty() || decoded->size() > longest_envid)
        return syntax("Bad ENVID parameter syntax");
    into.envid = std::move(*decoded);
    return std::nullopt;
}

std::optional<Reply> take_auth(const Parameter& parameter, MailCommand& into)
{
    auto decoded = mail::decode_xtext(parameter.value);
    if (into.auth || !decoded || decoded->empty())
        return syntax("Bad AUTH parameter syntax");
    into.auth = std::move(*decoded);
    return std::nullopt;
}

struct MailParameter {
    std::string_view keyword;
    bool GrammarOptions::*offered;
    MailParameterParser take;
};
constexpr MailParameter mail_parameters[] = {
    {"SIZE", &GrammarOptions::size, take_size},         {"BODY", &GrammarOptions::eight_bit, take_body},
    {"SMTPUTF8", &GrammarOptions::smtputf8, take_smtputf8}, {"RET", &GrammarOptions::dsn, take_ret},
    {"ENVID", &GrammarOptions::dsn, take_envid},        {"AUTH", &GrammarOptions::auth, take_auth},
    {"REQUIRETLS", &GrammarOptions::requiretls, take_requiretls},
};

std::optional<Reply> take_mail_parameter(const Parameter& parameter, const GrammarOptions& options,
                                         MailCommand& into)
{
    for (const MailParameter& known : mail_parameters)
        if (ascii::equal(known.keyword, parameter.keyword))
            return options.*known.offered ? known.take(parameter, into) : not_known(parameter.whole);
    return not_known(parameter.whole);
}

std::optional<Reply> take_notify(std::string_view value, uint8_t& into)
{
    if (into != mail::NotifyDefault)
        return syntax("NOTIFY parameter given twice");
    uint8_t mask = 0;
    for (std::string_view word : ascii::split(value, ",")) {
        if (ascii::equal(word, "NEVER"))
            mask |= mail::NotifyNever;
        else if (ascii::equal(word, "SUCCESS"))
            mask |= mail::NotifySuccess;
        else if (ascii::equal(word, "FAILURE"))
            mask |= mail::NotifyFailure;
        else if (ascii::equal(word, "DELAY"))
            mask |= mail::NotifyDelay;
        else
            return syntax("Bad NOTIFY parameter syntax");
    }
    const bool never_with_others = (mask & mail::NotifyNever) && mask != mail::NotifyNever;
    if (mask == 0 || never_with_others) // RFC 3461 section 4.1
        return syntax("Bad NOTIFY parameter syntax");
    into = mask;
    return std::nullopt;
}

std::optional<Reply> take_orcpt(std::string_view value, std::string& into)
{
    if (!into.empty())
        return syntax("ORCPT parameter given twice");
    auto decoded = mail::decode_orcpt(value);
    if (!decoded || value.size() > longest_orcpt)
        return syntax("Bad ORCPT parameter syntax");
    into = std::move(*decoded);
    return std::nullopt;
}

std::optional<Reply> take_rcpt_parameter(const Parameter& parameter, const GrammarOptions& options,
                                         RcptCommand& into)
{
    if (options.dsn && ascii::equal(parameter.keyword, "NOTIFY"))
        return take_notify(parameter.value, into.notify);
    if (options.dsn && ascii::equal(parameter.keyword, "ORCPT"))
        return take_orcpt(parameter.value, into.orcpt);
    return not_known(parameter.whole);
}

bool is_known(std::string_view name, std::string_view known_names)
{
    for (std::string_view known : ascii::split(known_names, " "))
        if (ascii::equal(known, name))
            return true;
    return false;
}

} // namespace

std::optional<Reply> parse_mail(std::string_view argument, const GrammarOptions& options, MailCommand& into)
{
    std::string_view rest;
    if (auto refusal = take_path("FROM:", argument, options.strict_envelopes, "Syntax: MAIL FROM:<address>",
                                 into.sender, rest))
        return refusal;
    while (!rest.empty()) {
        const Parameter parameter = take_parameter(rest);
        if (auto refusal = take_mail_parameter(parameter, options, into))
            return refusal;
    }
    return std::nullopt;
}

std::optional<Reply> parse_rcpt(std::string_view argument, const GrammarOptions& options, RcptCommand& into)
{
    std::string_view rest;
    if (auto refusal =
            take_path("TO:", argument, options.strict_envelopes, "Syntax: RCPT TO:<address>", into.recipient, rest))
        return refusal;
    if (into.recipient.is_null())
        return Reply(501, "5.1.3", "Bad recipient address syntax");
    while (!rest.empty()) {
        const Parameter parameter = take_parameter(rest);
        if (auto refusal = take_rcpt_parameter(parameter, options, into))
            return refusal;
    }
    return std::nullopt;
}

std::optional<Reply> parse_bdat(std::string_view argument, BdatCommand& into)
{
    const auto words = ascii::split(argument, " \t");
    const auto size = words.empty() ? std::nullopt : ascii::parse_unsigned(words[0]);
    const bool has_last = words.size() == 2 && ascii::equal(words[1], "LAST");
    if (!size || words.size() > 2 || (words.size() == 2 && !has_last))
        return syntax("Syntax: BDAT count [LAST]");
    into.size = *size;
    into.last = has_last;
    return std::nullopt;
}

const std::string_view xclient_names = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT REVERSE_NAME";
const std::string_view xforward_names = "NAME ADDR PORT PROTO HELO IDENT SOURCE";

bool Attribute::unavailable() const
{
    return ascii::equal(value, "[UNAVAILABLE]") || ascii::equal(value, "[TEMPUNAVAIL]");
}

std::optional<Reply> parse_attributes(std::string_view argument, std::string_view known_names,
                                      std::vector<Attribute>& into)
{
    std::string_view rest = ascii::trim(argument);
    if (rest.empty())
        return syntax("Syntax: attribute=value...");
    while (!rest.empty()) {
        const Parameter parameter = take_parameter(rest);
        if (!parameter.has_value || !is_known(parameter.keyword, known_names))
            return syntax(cat("Bad attribute: ", parameter.whole));
        auto value = mail::decode_xtext(parameter.value);
        if (!value)
            return syntax(cat("Bad attribute value syntax: ", parameter.whole));
        into.push_back(Attribute(ascii::upper(parameter.keyword), std::move(*value)));
    }
    return std::nullopt;
}

} // namespace posthouse::smtp
