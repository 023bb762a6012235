// The grammar of the commands that carry arguments: MAIL, RCPT, BDAT, XCLIENT, XFORWARD. Pure. Each parser
// fills `into` and returns nothing, or returns the refusal to send.
#pragma once

#include "lib/mail/address.h"
#include "lib/mail/envelope.h"
#include "lib/smtp/reply.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace posthouse::smtp {

// What EHLO has offered: a parameter of something not offered is refused with 555.
struct GrammarOptions {
    GrammarOptions() = default;
    bool strict_envelopes = false; // strict_rfc821_envelopes
    bool size = true;
    bool eight_bit = true;
    bool smtputf8 = true;
    bool dsn = true;
    bool requiretls = false; // RFC 8689: within TLS alone
    bool auth = true; // AUTH= is taken (and ignored by those who do not trust it)
};

enum class Body : uint8_t { Unspecified, SevenBit, EightBitMime };

struct MailCommand {
    MailCommand() = default;
    mail::Address sender;
    std::optional<uint64_t> size;
    Body body = Body::Unspecified;
    bool smtputf8 = false;
    bool requiretls = false;
    mail::Return ret = mail::Return::Unspecified;
    std::string envid; // decoded
    std::optional<std::string> auth; // decoded; "<>" is kept as it is
};

struct RcptCommand {
    RcptCommand() = default;
    mail::Address recipient;
    uint8_t notify = mail::NotifyDefault;
    std::string orcpt; // decoded, "rfc822;user@example.com"
};

struct BdatCommand {
    BdatCommand() = default;
    uint64_t size = 0;
    bool last = false;
};

// `argument` is what follows the verb: "FROM:<a@b> SIZE=1".
std::optional<Reply> parse_mail(std::string_view argument, const GrammarOptions& options, MailCommand& into);
std::optional<Reply> parse_rcpt(std::string_view argument, const GrammarOptions& options, RcptCommand& into);
std::optional<Reply> parse_bdat(std::string_view argument, BdatCommand& into);

// XCLIENT and XFORWARD: "NAME=spike.example ADDR=192.0.2.1", xtext decoded.
struct Attribute {
    Attribute(std::string its_name, std::string its_value) : name(std::move(its_name)), value(std::move(its_value)) {}
    std::string name;  // upper case
    std::string value; // decoded
    bool unavailable() const; // "[UNAVAILABLE]" or "[TEMPUNAVAIL]"
};
extern const std::string_view xclient_names;  // "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT REVERSE_NAME"
extern const std::string_view xforward_names; // "NAME ADDR PORT PROTO HELO IDENT SOURCE"
std::optional<Reply> parse_attributes(std::string_view argument, std::string_view known_names,
                                      std::vector<Attribute>& into);

} // namespace posthouse::smtp
