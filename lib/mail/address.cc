// Envelope addresses: see address.h.
#include "lib/mail/address.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/mail/utf8.h"

#include <arpa/inet.h>

namespace posthouse::mail {

namespace {

constexpr size_t longest_local = 320;
constexpr size_t longest_domain = 255;
constexpr size_t longest_label = 63;
constexpr size_t npos = std::string_view::npos;

Error syntax(std::string text) { return Error(ErrorKind::Permanent, "5.1.3", std::move(text)); }

bool is_atext(char c)
{
    return ascii::is_alnum(c) || ascii::is_8bit(c) || std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != npos;
}

bool is_dot_string(std::string_view text)
{
    char previous = '.';
    for (char c : text) {
        if (c == '.' ? previous == '.' : !is_atext(c))
            return false;
        previous = c;
    }
    return previous != '.';
}

// The place of `wanted` outside of quotes and escapes; the first or the last one. npos too when a quote or
// an escape is not finished before it is found (first) or before the end (last).
size_t find_unquoted(std::string_view text, std::string_view wanted, bool last)
{
    size_t found = npos;
    bool quoted = false;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\') {
            ++i;
        } else if (text[i] == '"') {
            quoted = !quoted;
        } else if (!quoted && wanted.find(text[i]) != npos) {
            if (!last)
                return i;
            found = i;
        }
    }
    return quoted ? npos : found;
}

// Takes quotes and escapes away. Outside of quotes only what a dot-string may hold, dots anywhere, and '@'
// (the address was split at the last one).
Result<std::string> unquote_local(std::string_view raw)
{
    std::string out;
    bool quoted = false;
    for (size_t i = 0; i < raw.size(); ++i) {
        char c = raw[i];
        if (c == '"') {
            quoted = !quoted;
            continue;
        }
        if (c == '\\') {
            if (++i == raw.size())
                return syntax("bad address syntax: nothing follows the backslash");
            c = raw[i];
        } else if (!quoted && !is_atext(c) && c != '.' && c != '@') {
            return syntax("bad address syntax: character in the local part needs quotes");
        }
        out.push_back(c);
    }
    if (quoted)
        return syntax("bad address syntax: quote without an end");
    if (!is_valid_local(out))
        return syntax("bad address syntax: malformed local part");
    return out;
}

bool is_valid_domain(std::string_view domain)
{
    return domain.starts_with('[') ? is_valid_address_literal(domain) : is_valid_hostname(domain);
}

// "@a,@b:user@c" -> "user@c". The hosts in between are not looked at (RFC 5321 section 4.1.1.3).
Result<std::string_view> without_route(std::string_view inside)
{
    if (!inside.starts_with('@'))
        return inside;
    const size_t colon = find_unquoted(inside, ":", false);
    // A colon within a literal is no end of the route.
    const size_t bracket = inside.find('[');
    if (colon == npos || (bracket != npos && bracket < colon))
        return syntax("bad address syntax: malformed source route");
    return inside.substr(colon + 1);
}

std::string_view skip_blanks(std::string_view text)
{
    while (!text.empty() && ascii::is_blank(text.front()))
        text.remove_prefix(1);
    return text;
}

// One quoted string and nothing beside it (RFC 5321 section 4.1.2).
bool is_quoted_string(std::string_view raw)
{
    if (raw.size() < 2 || raw.front() != '"' || raw.back() != '"')
        return false;
    const std::string_view inside = raw.substr(1, raw.size() - 2);
    for (size_t i = 0; i < inside.size(); ++i) {
        if (inside[i] == '"')
            return false;
        if (inside[i] == '\\' && ++i == inside.size())
            return false;
    }
    return true;
}

Result<Address> parse_inside(std::string_view inside, bool strict)
{
    auto mailbox = without_route(inside);
    if (!mailbox)
        return std::move(mailbox.error());
    if (mailbox->size() < inside.size() && mailbox->empty())
        return syntax("bad address syntax: nothing follows the source route");
    const size_t at = find_unquoted(*mailbox, "@", true);
    const std::string_view local = mailbox->substr(0, at);
    const bool is_rfc5321 = inside.empty() || ascii::equal(inside, "postmaster") ||
                            (at != npos && (is_dot_string(local) || is_quoted_string(local)));
    if (strict && !is_rfc5321)
        return syntax("bad address syntax");
    return parse_address(*mailbox);
}

} // namespace

std::string Address::to_text() const
{
    if (is_null())
        return std::string();
    if (domain.empty())
        return quote_local(local);
    return cat(quote_local(local), '@', domain);
}

bool Address::operator==(const Address& other) const
{
    return local == other.local && ascii::equal(domain, other.domain);
}

Result<Address> parse_address(std::string_view text)
{
    if (text.empty())
        return Address();
    for (char c : text)
        if (ascii::is_control(c))
            return syntax("bad address syntax: control character");
    if (!is_utf8(text))
        return syntax("bad address syntax: malformed UTF-8");
    const size_t at = find_unquoted(text, "@", true);
    const std::string_view raw_local = text.substr(0, at);
    if (raw_local.empty())
        return syntax("bad address syntax: no local part");
    auto local = unquote_local(raw_local);
    if (!local)
        return std::move(local.error());
    if (at == npos) {
        if (local->empty())
            return syntax("bad address syntax: empty local part without a domain");
        return Address(std::move(*local), std::string());
    }
    std::string_view domain = text.substr(at + 1);
    if (domain.size() > 1 && domain.back() == '.')
        domain.remove_suffix(1);
    if (!is_valid_domain(domain))
        return syntax("bad address syntax: malformed domain");
    return Address(std::move(*local), std::string(domain));
}

Result<ParsedPath> parse_path(std::string_view text, const PathOptions& options)
{
    if (!options.strict)
        text = skip_blanks(text);
    if (!text.starts_with('<')) {
        if (options.strict || text.empty())
            return syntax("bad address syntax: no angle brackets");
        const size_t end = std::min(find_unquoted(text, " \t", false), text.size());
        auto address = parse_inside(text.substr(0, end), false);
        if (!address)
            return std::move(address.error());
        return ParsedPath(std::move(*address), skip_blanks(text.substr(end)));
    }
    const size_t end = find_unquoted(text, ">", false);
    if (end == npos)
        return syntax("bad address syntax: no closing angle bracket");
    std::string_view inside = text.substr(1, end - 1);
    if (!options.strict)
        inside = ascii::trim(inside);
    const std::string_view rest = text.substr(end + 1);
    if (!rest.empty() && !ascii::is_blank(rest.front()))
        return syntax("bad address syntax: text right after the closing angle bracket");
    auto address = parse_inside(inside, options.strict);
    if (!address)
        return std::move(address.error());
    return ParsedPath(std::move(*address), skip_blanks(rest));
}

bool is_valid_local(std::string_view unquoted)
{
    for (char c : unquoted)
        if (ascii::is_control(c))
            return false;
    return unquoted.size() <= longest_local;
}

bool is_valid_hostname(std::string_view name)
{
    if (name.empty() || name.size() > longest_domain || name.back() == '.')
        return false;
    bool all_numeric = true;
    while (!name.empty()) {
        const size_t dot = std::min(name.find('.'), name.size());
        const std::string_view label = name.substr(0, dot);
        if (label.empty() || label.size() > longest_label || label.front() == '-' || label.back() == '-')
            return false;
        for (char c : label) {
            if (!ascii::is_alnum(c) && c != '-' && c != '_' && !ascii::is_8bit(c))
                return false;
            all_numeric = all_numeric && ascii::is_digit(c);
        }
        name.remove_prefix(std::min(dot + 1, name.size()));
    }
    return !all_numeric;
}

bool is_valid_address_literal(std::string_view text)
{
    if (text.size() < 3 || text.size() > 64 || text.front() != '[' || text.back() != ']')
        return false;
    text = text.substr(1, text.size() - 2);
    unsigned char parsed[16];
    if (ascii::starts_with(text, "IPv6:"))
        return inet_pton(AF_INET6, std::string(text.substr(5)).c_str(), parsed) == 1;
    return inet_pton(AF_INET, std::string(text).c_str(), parsed) == 1;
}

std::string quote_local(std::string_view unquoted)
{
    if (is_dot_string(unquoted))
        return std::string(unquoted);
    std::string out = "\"";
    for (char c : unquoted) {
        if (c == '"' || c == '\\')
            out.push_back('\\');
        out.push_back(c);
    }
    out.push_back('"');
    return out;
}

std::optional<Extension> split_extension(std::string_view local, std::string_view delimiters)
{
    if (delimiters.empty())
        return std::nullopt;
    for (std::string_view whole : {"mailer-daemon", "double-bounce", "postmaster"})
        if (ascii::equal(local, whole))
            return std::nullopt;
    const bool is_list_name = (ascii::starts_with(local, "owner-") && local.size() > 6) ||
                              (ascii::ends_with(local, "-request") && local.size() > 8);
    if (delimiters.find('-') != npos && is_list_name)
        return std::nullopt;
    const size_t at = local.find_first_of(delimiters);
    if (at == npos || at == 0 || at + 1 == local.size())
        return std::nullopt;
    return Extension(std::string(local.substr(0, at)), std::string(local.substr(at + 1)), local[at]);
}

} // namespace posthouse::mail
