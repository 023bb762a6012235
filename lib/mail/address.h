// Mail addresses as the SMTP envelope has them (RFC 5321 section 4.1.2): reading with Postfix's leniency or
// strictly, writing with quotes where needed, comparing, and extensions ("user+ext").
// Pure; input is bounded by the caller's line limit and by the limits below.
#pragma once

#include "lib/base/result.h"

#include <optional>
#include <string>
#include <string_view>

namespace posthouse::mail {

// One mailbox. `local` is unquoted ("john doe"), `domain` as written: a name, a literal ("[192.0.2.1]",
// "[IPv6:2001:db8::1]"), or empty ("postmaster"). Both empty is the null address.
struct Address {
    Address() = default;
    Address(std::string its_local, std::string its_domain)
        : local(std::move(its_local)), domain(std::move(its_domain))
    {
    }

    std::string local;
    std::string domain;

    bool is_null() const { return local.empty() && domain.empty(); }
    bool has_literal() const { return !domain.empty() && domain.front() == '['; }
    // External form, quoted when needed: "\"john doe\"@example.com".
    std::string to_text() const;
    // Same mailbox: local parts byte by byte, domains without regard to case.
    bool operator==(const Address& other) const;
};

// Without brackets: "user@example.com", "\"a b\"@example.com", "postmaster", "". The whole text or an error.
// A local part may hold unquoted '@' only in a lenient reading: the last one counts.
Result<Address> parse_address(std::string_view text);

struct PathOptions {
    PathOptions() = default;
    explicit PathOptions(bool is_strict) : strict(is_strict) {}
    bool strict = false; // strict_rfc821_envelopes: angle brackets and nothing but RFC 5321 inside
};

struct ParsedPath {
    ParsedPath(Address its_address, std::string_view its_rest) : address(std::move(its_address)), rest(its_rest) {}
    Address address;       // source route taken off
    std::string_view rest; // what follows the path in the text given, without leading blanks
};

// A path at the start of `text`: "<user@example.com> SIZE=1", "<>", "<@a,@b:user@example.com>"; lenient also
// "user@example.com SIZE=1" and "< user@example.com >". Errors carry 5.1.3 or 5.1.7 as `dsn` and a text for
// the reply.
Result<ParsedPath> parse_path(std::string_view text, const PathOptions& options = PathOptions());

bool is_valid_local(std::string_view unquoted);     // no control characters, at most 320 bytes
bool is_valid_hostname(std::string_view name);      // labels of letters, digits, '-', '_', or UTF-8
bool is_valid_address_literal(std::string_view text); // "[192.0.2.1]", "[IPv6:...]", with its brackets

// "john doe" -> "\"john doe\""; a dot-string comes back as it is.
std::string quote_local(std::string_view unquoted);

struct Extension {
    Extension(std::string its_base, std::string its_extension, char its_delimiter)
        : base(std::move(its_base)), extension(std::move(its_extension)), delimiter(its_delimiter)
    {
    }
    std::string base;
    std::string extension;
    char delimiter;
};

// Split at the leftmost of any of `delimiters` that is neither first nor last. Names that are never split:
// mailer-daemon, double-bounce, postmaster; "owner-x" and "x-request" at '-'.
std::optional<Extension> split_extension(std::string_view local, std::string_view delimiters);

} // namespace posthouse::mail
