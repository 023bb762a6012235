// Expansion of texts for refusals: see reply_text.h.
#include "smtpd/reply_text.h"

#include "lib/base/cat.h"
#include "lib/config/expand.h"

#include <optional>

namespace posthouse::smtpd {

namespace {

char escaped(std::string_view text, size_t& at)
{
    constexpr std::string_view letters = "abfnrtv";
    constexpr char meanings[] = {'\a', '\b', '\f', '\n', '\r', '\t', '\v'};
    const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
    if (is_octal(text[at])) {
        unsigned value = 0;
        for (size_t digits = 0; digits < 3 && at < text.size() && is_octal(text[at]); ++digits)
            value = value * 8 + static_cast<unsigned>(text[at++] - '0');
        return static_cast<char>(value);
    }
    const char c = text[at++];
    const size_t letter = letters.find(c);
    return letter == std::string_view::npos ? c : meanings[letter];
}

// Gives each value with its `$` doubled, so that the expander leaves it as it is.
class Values final : public config::Names {
public:
    Values(const NameValues& names, const CharacterFilter& filter) : names_(names), filter_(filter) {}
    std::optional<std::string> unexpanded(std::string_view name) const override
    {
        std::string value;
        if (!names_(name, value))
            return std::nullopt;
        std::string text;
        for (const char c : filter_.apply(value))
            text.append(c == '$' ? 2 : 1, c);
        return text;
    }

private:
    const NameValues& names_;
    const CharacterFilter& filter_;
};

} // namespace

CharacterFilter::CharacterFilter(std::string_view characters)
{
    for (size_t at = 0; at < characters.size();) {
        const char c = characters[at++];
        const bool is_escape = c == '\\' && at < characters.size();
        allowed_.set(static_cast<unsigned char>(is_escape ? escaped(characters, at) : c));
    }
}

std::string CharacterFilter::apply(std::string_view text) const
{
    std::string result(text);
    for (char& c : result)
        if (!allowed_.test(static_cast<unsigned char>(c)))
            c = '_';
    return result;
}

Result<std::string> expand_reply(std::string_view text, const NameValues& names, const CharacterFilter& filter)
{
    const Values values(names, filter);
    config::Expander expander(values);
    auto expanded = expander.expand(text);
    if (expanded && !expander.undefined().empty())
        return Error(ErrorKind::Config, cat("unknown name: ", *expander.undefined().begin()));
    return expanded;
}

} // namespace posthouse::smtpd
