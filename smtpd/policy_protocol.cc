// The policy delegation protocol: see policy_protocol.h.
#include "smtpd/policy_protocol.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

namespace posthouse::smtpd {

namespace {

void append_clean(std::string& into, std::string_view value)
{
    for (const char c : value)
        into.push_back(ascii::is_control(c) ? '?' : c);
}

Error corrupt(std::string_view what) { return Error(ErrorKind::Corrupt, cat("policy server: ", what)); }

} // namespace

PolicyRequest::PolicyRequest() : text_("request=smtpd_access_policy\n") {}

void PolicyRequest::add(std::string_view name, std::string_view value)
{
    append_to(text_, name, '=');
    append_clean(text_, value);
    text_.push_back('\n');
}

std::string PolicyRequest::finish() &&
{
    text_.push_back('\n');
    return std::move(text_);
}

Result<std::optional<std::string>> parse_policy_reply(std::string_view input)
{
    std::optional<std::string> action;
    while (true) {
        const size_t end = input.find('\n');
        if (end == std::string_view::npos) {
            if (input.size() > longest_policy_reply)
                return corrupt("a line without an end");
            return std::optional<std::string>();
        }
        std::string_view line = input.substr(0, end);
        input.remove_prefix(end + 1);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        if (line.empty())
            break;
        const size_t equals = line.find('=');
        if (equals == std::string_view::npos)
            return corrupt("a line that is no name=value");
        if (action || line.substr(0, equals) != "action")
            continue;
        append_clean(action.emplace(), ascii::trim(line.substr(equals + 1)));
    }
    if (!action)
        return corrupt("a reply without action");
    if (!input.empty())
        return corrupt("more than one reply to one request");
    return action;
}

std::string xtext(std::string_view text)
{
    constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c != '+' && byte > 32 && byte < 127) {
            out.push_back(c);
            continue;
        }
        out.push_back('+');
        out.push_back(digits[byte >> 4]);
        out.push_back(digits[byte & 15]);
    }
    return out;
}

} // namespace posthouse::smtpd
