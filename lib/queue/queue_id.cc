// Queue ids: see queue_id.h.
#include "lib/queue/queue_id.h"

#include <algorithm>

namespace posthouse::queue {

namespace {

constexpr std::string_view digits = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";
constexpr uint64_t time_base = 52;
constexpr uint64_t number_base = 51; // without 'z', which separates
constexpr size_t fewest_second_digits = 6;
constexpr size_t microsecond_digits = 4;
constexpr int64_t million = 1000000;
static_assert(digits.size() == time_base);

void append_in_base(std::string& out, uint64_t value, uint64_t base, size_t fewest)
{
    char reversed[16];
    size_t count = 0;
    while (value > 0 || count < fewest) {
        reversed[count++] = digits[value % base];
        value /= base;
    }
    out.append(std::reverse_iterator(reversed + count), std::reverse_iterator(reversed));
}

std::optional<uint64_t> parse_in_base(std::string_view text, uint64_t base)
{
    if (text.empty())
        return std::nullopt;
    uint64_t value = 0;
    for (const char c : text) {
        const size_t digit = digits.find(c);
        if (digit >= base || value > (UINT64_MAX - digit) / base)
            return std::nullopt;
        value = value * base + digit;
    }
    return value;
}

struct Parts {
    int64_t us;
    uint64_t number;
};

std::optional<Parts> parse(std::string_view id)
{
    if (id.size() > longest_queue_id)
        return std::nullopt;
    // The microseconds may hold a 'z', the number never does.
    const size_t separator = id.rfind('z');
    if (separator == id.npos || separator < fewest_second_digits + microsecond_digits)
        return std::nullopt;
    const auto seconds = parse_in_base(id.substr(0, separator - microsecond_digits), time_base);
    const auto micros = parse_in_base(id.substr(separator - microsecond_digits, microsecond_digits), time_base);
    const auto number = parse_in_base(id.substr(separator + 1), number_base);
    if (!seconds || !micros || !number || *micros >= static_cast<uint64_t>(million) ||
        *seconds > static_cast<uint64_t>(INT64_MAX / million - 1))
        return std::nullopt;
    const Parts parts{static_cast<int64_t>(*seconds) * million + static_cast<int64_t>(*micros), *number};
    if (make_id(parts.us, parts.number) != id) // leading zeros: only one spelling is the id
        return std::nullopt;
    return parts;
}

} // namespace

std::string make_id(int64_t wall_us, uint64_t number)
{
    const auto us = static_cast<uint64_t>(std::max<int64_t>(wall_us, 0));
    std::string id;
    id.reserve(longest_queue_id);
    append_in_base(id, us / million, time_base, fewest_second_digits);
    append_in_base(id, us % million, time_base, microsecond_digits);
    id.push_back('z');
    append_in_base(id, number, number_base, 1);
    return id;
}

std::optional<uint64_t> number_of(std::string_view id)
{
    const auto parts = parse(id);
    if (!parts)
        return std::nullopt;
    return parts->number;
}

std::optional<int64_t> time_of(std::string_view id)
{
    const auto parts = parse(id);
    if (!parts)
        return std::nullopt;
    return parts->us;
}

} // namespace posthouse::queue
