// cat("to=<", address, "> size=", 12): one string from text, characters and integers, in one
// allocation for the usual case.
#pragma once

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>

namespace posthouse {

namespace cat_detail {
inline void append(std::string& out, std::string_view text) { out.append(text); }
inline void append(std::string& out, char c) { out.push_back(c); }
template <std::integral Int>
    requires(!std::same_as<Int, char> && !std::same_as<Int, bool>)
void append(std::string& out, Int value)
{
    char digits[24];
    auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    out.append(digits, static_cast<size_t>(end - digits));
}
} // namespace cat_detail

template <class... Parts>
void append_to(std::string& out, const Parts&... parts)
{
    (cat_detail::append(out, parts), ...);
}

template <class... Parts>
std::string cat(const Parts&... parts)
{
    std::string out;
    append_to(out, parts...);
    return out;
}

} // namespace posthouse
