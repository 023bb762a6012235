// ASCII rules for protocol text: independent of any locale, and safe for bytes above 127.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::ascii {

constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_alpha(char c) { return is_upper(c) || is_lower(c); }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alnum(char c) { return is_alpha(c) || is_digit(c); }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }
constexpr bool is_space(char c) { return is_blank(c) || c == '\r' || c == '\n' || c == '\v' || c == '\f'; }
constexpr bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
constexpr bool is_8bit(char c) { return static_cast<unsigned char>(c) >= 0x80; }
constexpr char to_lower(char c) { return is_upper(c) ? static_cast<char>(c + ('a' - 'A')) : c; }
constexpr char to_upper(char c) { return is_lower(c) ? static_cast<char>(c - ('a' - 'A')) : c; }
// 0 to 15, or -1.
constexpr int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

std::string lower(std::string_view text);
std::string upper(std::string_view text);
bool equal(std::string_view a, std::string_view b); // ignoring case
bool starts_with(std::string_view text, std::string_view prefix); // ignoring case
bool ends_with(std::string_view text, std::string_view suffix);   // ignoring case
bool all_7bit(std::string_view text);
std::string_view trim(std::string_view text); // white space at both ends

// Split at any of `separators`; empty parts are left out.
std::vector<std::string_view> split(std::string_view text, std::string_view separators);

// Whole text or nothing; no sign, no white space.
std::optional<unsigned long long> parse_unsigned(std::string_view text);

} // namespace posthouse::ascii
