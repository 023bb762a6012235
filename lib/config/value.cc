// Checks and conversions of values: see value.h.
#include "lib/config/value.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/config/expand.h"

#include <algorithm>
#include <charconv>

namespace posthouse::config {

namespace {

std::string quoted(std::string_view value)
{
    return cat("\"", value.substr(0, 80), value.size() > 80 ? "...\"" : "\"");
}

// Seconds in a unit, 0 when it is none.
int64_t seconds_in(char unit)
{
    switch (ascii::to_lower(unit)) {
    case 's': return 1;
    case 'm': return 60;
    case 'h': return 3600;
    case 'd': return 86400;
    case 'w': return 604800;
    default: return 0;
    }
}

std::optional<int64_t> scaled(std::string_view digits, int64_t factor, int64_t limit)
{
    auto count = ascii::parse_unsigned(digits);
    if (!count || *count > static_cast<unsigned long long>(limit / factor))
        return std::nullopt;
    return static_cast<int64_t>(*count) * factor;
}

std::string range_text(const Parameter& p)
{
    if (!p.min.empty() && !p.max.empty())
        return cat(" from ", p.min, " to ", p.max);
    if (!p.min.empty())
        return cat(" of at least ", p.min);
    if (!p.max.empty())
        return cat(" of at most ", p.max);
    return "";
}

template <class Value, class Parse>
bool in_range(const Parameter& p, const Value& value, Parse parse)
{
    return (p.min.empty() || value >= *parse(p.min)) && (p.max.empty() || value <= *parse(p.max));
}

std::string_view kind_text(Kind kind)
{
    switch (kind) {
    case Kind::Number: return "a whole number";
    case Kind::Size: return "a size in bytes";
    case Kind::Time: return "a time such as 30s, 5m, 2h, 1d or 1w";
    default: return "";
    }
}

template <class Parse>
std::optional<std::string> check_ranged(const Parameter& p, std::string_view value, Parse parse)
{
    auto parsed = parse(value);
    if (parsed && in_range(p, *parsed, parse))
        return std::nullopt;
    return cat("expected ", kind_text(p.kind), range_text(p), ", not ", quoted(value));
}

std::optional<std::string> check_choice(const Parameter& p, std::string_view value)
{
    auto words = ascii::split(p.min, "|");
    // "|" at the end of the words: an empty value is one of the choices.
    if (value.empty() && p.min.ends_with('|'))
        return std::nullopt;
    for (std::string_view word : words)
        if (ascii::equal(word, value))
            return std::nullopt;
    std::string list;
    for (size_t i = 0; i < words.size(); ++i)
        append_to(list, i == 0 ? "" : i + 1 == words.size() ? " or " : ", ", words[i]);
    return cat("expected ", list, ", not ", quoted(value));
}

std::optional<std::string> check_list(const Parameter& p, std::string_view value)
{
    long depth = 0;
    for (char c : value) {
        depth += c == '{' ? 1 : c == '}' ? -1 : 0;
        if (depth < 0)
            break;
    }
    if (depth != 0)
        return cat("expected as many \"{\" as \"}\", in pairs, not ", quoted(value));
    if (p.kind != Kind::Tables)
        return std::nullopt;
    for (const std::string& item : split_list(value)) {
        // A bare name is a table of type default_database_type, as Postfix has it.
        if (item.front() == ':' || (item.back() == ':' && item.find_first_not_of(':') == 0))
            return cat("expected tables as type:name, not ", quoted(item));
    }
    return std::nullopt;
}

} // namespace

std::optional<bool> parse_boolean(std::string_view text)
{
    if (ascii::equal(text, "yes"))
        return true;
    if (ascii::equal(text, "no"))
        return false;
    return std::nullopt;
}

std::optional<int64_t> parse_number(std::string_view text)
{
    int64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty())
        return std::nullopt;
    return value;
}

std::optional<int64_t> parse_size(std::string_view text)
{
    if (text.empty())
        return std::nullopt;
    int shift = 0;
    switch (ascii::to_lower(text.back())) {
    case 'k': shift = 10; break;
    case 'm': shift = 20; break;
    case 'g': shift = 30; break;
    default: break;
    }
    return scaled(text.substr(0, text.size() - (shift != 0 ? 1 : 0)), int64_t{1} << shift, INT64_MAX);
}

std::optional<Duration> parse_time(std::string_view text, char unit)
{
    if (text.empty())
        return std::nullopt;
    if (!ascii::is_digit(text.back())) {
        unit = text.back();
        text.remove_suffix(1);
    }
    int64_t factor = seconds_in(unit);
    if (factor == 0)
        return std::nullopt;
    auto seconds = scaled(ascii::trim(text), factor, INT64_MAX / 1000000000);
    if (!seconds)
        return std::nullopt;
    return Duration::seconds(*seconds);
}

char default_unit(const Parameter& parameter)
{
    if (!parameter.def.empty() && seconds_in(parameter.def.back()) != 0)
        return parameter.def.back();
    return 's';
}

Duration time_value(const Parameter& parameter, std::string_view value)
{
    return *parse_time(value, default_unit(parameter));
}

std::optional<std::string> complaint_about(const Parameter& p, std::string_view value)
{
    switch (p.kind) {
    case Kind::Boolean:
        if (parse_boolean(value))
            return std::nullopt;
        return cat("expected yes or no, not ", quoted(value));
    case Kind::Number: return check_ranged(p, value, [](std::string_view text) { return parse_number(text); });
    case Kind::Size: return check_ranged(p, value, [](std::string_view text) { return parse_size(text); });
    case Kind::Time: {
        char unit = default_unit(p);
        return check_ranged(p, value, [unit](std::string_view text) { return parse_time(text, unit); });
    }
    case Kind::Choice: return check_choice(p, value);
    case Kind::Level:
        if (compare_levels(value, "0"))
            return std::nullopt;
        return cat("expected a level such as 3.6, not ", quoted(value));
    case Kind::List:
    case Kind::Tables: return check_list(p, value);
    case Kind::Text:
    case Kind::TextOrFile:
    case Kind::Raw: return std::nullopt;
    }
    return std::nullopt;
}

} // namespace posthouse::config
