// The commands of a transaction as text: see client_commands.h.
#include "lib/smtp/client_commands.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/mail/address.h"
#include "lib/mail/idn.h"
#include "lib/mail/xtext.h"

#include <utility>

namespace posthouse::smtp {

namespace {

// Whether it can go there was asked before: what has no ASCII form goes out as it is only to a server that takes it.
void append_address(std::string& out, const std::string& address, const Features& features)
{
    out.push_back('<');
    if (features.smtputf8 || ascii::all_7bit(address))
        out.append(address);
    else
        out.append(ascii_address(address).value_or(address));
    out.push_back('>');
}

std::string original_recipient(const mail::Recipient& recipient, bool smtputf8)
{
    if (!recipient.orcpt.empty())
        return mail::encode_orcpt(recipient.orcpt, smtputf8);
    if (recipient.original.empty())
        return std::string();
    const std::string_view type = ascii::all_7bit(recipient.original) ? "rfc822;" : "utf-8;";
    return mail::encode_orcpt(cat(type, recipient.original), smtputf8);
}

void append_notify(std::string& out, uint8_t notify)
{
    struct Word {
        uint8_t bit;
        std::string_view word;
    };
    constexpr Word words[] = {{mail::NotifyNever, "NEVER"},
                              {mail::NotifySuccess, "SUCCESS"},
                              {mail::NotifyFailure, "FAILURE"},
                              {mail::NotifyDelay, "DELAY"}};
    std::string_view separator = " NOTIFY=";
    for (const Word& word : words) {
        if (!(notify & word.bit))
            continue;
        append_to(out, separator, word.word);
        separator = ",";
    }
}

bool has_word(std::string_view words, std::string_view word)
{
    for (std::string_view each : ascii::split(words, " "))
        if (each == word)
            return true;
    return false;
}

} // namespace

std::optional<std::string> ascii_address(const std::string& address)
{
    auto parsed = mail::parse_address(address);
    if (!parsed || !ascii::all_7bit(parsed->local))
        return std::nullopt;
    auto domain = mail::domain_to_ascii(parsed->domain);
    if (!domain)
        return std::nullopt;
    return mail::Address(parsed->local, *domain).to_text();
}

std::string mail_command(const mail::Envelope& envelope, std::optional<uint64_t> size, bool eight_bit,
                         const Features& features)
{
    std::string out = "MAIL FROM:";
    append_address(out, envelope.sender, features);
    if (features.size && size)
        append_to(out, " SIZE=", *size);
    if (features.eight_bit && (envelope.body_8bit || eight_bit))
        out.append(" BODY=8BITMIME");
    if (features.smtputf8 && (envelope.smtputf8 || mail::has_8bit_address(envelope)))
        out.append(" SMTPUTF8");
    if (features.dsn) {
        if (envelope.ret != mail::Return::Unspecified)
            out.append(envelope.ret == mail::Return::Full ? " RET=FULL" : " RET=HDRS");
        if (!envelope.envid.empty())
            append_to(out, " ENVID=", mail::encode_xtext(envelope.envid));
    }
    out.append("\r\n");
    return out;
}

std::string rcpt_command(const mail::Recipient& recipient, const Features& features)
{
    std::string out = "RCPT TO:";
    append_address(out, recipient.address, features);
    if (features.dsn) {
        append_notify(out, recipient.notify);
        const std::string orcpt = original_recipient(recipient, features.smtputf8);
        if (!orcpt.empty())
            append_to(out, " ORCPT=", orcpt);
    }
    out.append("\r\n");
    return out;
}

std::vector<std::string> xforward_commands(const mail::Envelope& envelope, std::string_view offered)
{
    struct Attribute {
        std::string_view name;
        const std::string& value;
    };
    const std::string source = envelope.rewrite_context == "local" ? "LOCAL" : "REMOTE";
    const Attribute attributes[] = {
        {"NAME", envelope.client_name}, {"ADDR", envelope.client_address}, {"PORT", envelope.client_port},
        {"PROTO", envelope.protocol},   {"HELO", envelope.helo},           {"IDENT", envelope.id},
        {"SOURCE", source},
    };
    std::vector<std::string> commands;
    std::string command;
    for (const Attribute& attribute : attributes) {
        if (!has_word(offered, attribute.name))
            continue;
        std::string value = attribute.value.empty() ? std::string("[UNAVAILABLE]") : mail::encode_xtext(attribute.value);
        if (attribute.name == "ADDR" && value.find(':') != std::string::npos)
            value = cat("IPV6:", value);
        if (!command.empty() && command.size() + value.size() > 400) // RFC 5321 section 4.5.3.1.4: 512
            commands.push_back(std::exchange(command, std::string()) + "\r\n");
        append_to(command, command.empty() ? "XFORWARD " : " ", attribute.name, '=', value);
    }
    if (!command.empty())
        commands.push_back(command + "\r\n");
    return commands;
}

} // namespace posthouse::smtp
