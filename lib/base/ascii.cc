// ASCII text rules: see ascii.h.
#include "lib/base/ascii.h"

#include <charconv>

namespace posthouse::ascii {

std::string lower(std::string_view text)
{
    std::string out(text);
    for (char& c : out)
        c = to_lower(c);
    return out;
}

std::string upper(std::string_view text)
{
    std::string out(text);
    for (char& c : out)
        c = to_upper(c);
    return out;
}

bool equal(std::string_view a, std::string_view b)
{
    return a.size() == b.size() && starts_with(a, b);
}

bool starts_with(std::string_view text, std::string_view prefix)
{
    if (text.size() < prefix.size())
        return false;
    for (size_t i = 0; i < prefix.size(); ++i)
        if (to_lower(text[i]) != to_lower(prefix[i]))
            return false;
    return true;
}

bool ends_with(std::string_view text, std::string_view suffix)
{
    return text.size() >= suffix.size() && equal(text.substr(text.size() - suffix.size()), suffix);
}

bool all_7bit(std::string_view text)
{
    for (char c : text)
        if (is_8bit(c))
            return false;
    return true;
}

std::string_view trim(std::string_view text)
{
    while (!text.empty() && is_space(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_space(text.back()))
        text.remove_suffix(1);
    return text;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators)
{
    std::vector<std::string_view> parts;
    size_t start = 0;
    while ((start = text.find_first_not_of(separators, start)) != std::string_view::npos) {
        size_t end = text.find_first_of(separators, start);
        if (end == std::string_view::npos)
            end = text.size();
        parts.push_back(text.substr(start, end - start));
        start = end;
    }
    return parts;
}

std::optional<unsigned long long> parse_unsigned(std::string_view text)
{
    unsigned long long value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty())
        return std::nullopt;
    return value;
}

} // namespace posthouse::ascii
