// xtext: see xtext.h.
#include "lib/mail/xtext.h"

#include "lib/base/ascii.h"
#include "lib/mail/utf8.h"

#include <charconv>

namespace posthouse::mail {

namespace {

constexpr char hex_digits[] = "0123456789ABCDEF";

bool is_forbidden(uint32_t c) { return c == 0 || c == '\r' || c == '\n'; }

void append_encoded(std::string& out, char c)
{
    const auto byte = static_cast<unsigned char>(c);
    if (c > ' ' && c < 0x7f && c != '+' && c != '=') {
        out.push_back(c);
        return;
    }
    out.push_back('+');
    out.push_back(hex_digits[byte >> 4]);
    out.push_back(hex_digits[byte & 15]);
}

// The "+XX" at the start of `text`, taken off it.
std::optional<char> take_hexchar(std::string_view& text)
{
    if (text.size() < 3)
        return std::nullopt;
    const int high = ascii::hex_value(text[1]);
    const int low = ascii::hex_value(text[2]);
    if (high < 0 || low < 0 || is_forbidden(static_cast<uint32_t>(high * 16 + low)))
        return std::nullopt;
    text.remove_prefix(3);
    return static_cast<char>(high * 16 + low);
}

// The "\x{HEX}" at the start of `text`, taken off it and appended to `out`.
bool take_embedded(std::string_view& text, std::string& out)
{
    const size_t end = text.find('}');
    if (!text.starts_with("\\x{") || end == std::string_view::npos || end < 5 || end > 9)
        return false;
    uint32_t value = 0;
    const char* last = text.data() + end;
    auto [stop, error] = std::from_chars(text.data() + 3, last, value, 16);
    if (error != std::errc() || stop != last || is_forbidden(value) || !append_utf8(out, value))
        return false;
    text.remove_prefix(end + 1);
    return true;
}

std::optional<std::string> decode_utf8_address(std::string_view text)
{
    std::string out;
    while (!text.empty()) {
        const char c = text.front();
        if (c == '\\') {
            if (!take_embedded(text, out))
                return std::nullopt;
        } else if (c == '+') {
            const auto byte = take_hexchar(text);
            if (!byte)
                return std::nullopt;
            out.push_back(*byte);
        } else if (c <= ' ' && !ascii::is_8bit(c)) {
            return std::nullopt;
        } else {
            out.push_back(c);
            text.remove_prefix(1);
        }
    }
    if (!is_utf8(out))
        return std::nullopt;
    return out;
}

void append_utf8_address(std::string& out, std::string_view address, bool smtputf8)
{
    while (!address.empty()) {
        const std::string_view before = address;
        const auto c = take_utf8(address);
        if (!c) { // cannot come from the decoder
            append_encoded(out, before.front());
            address.remove_prefix(1);
        } else if (*c == '\\' || *c == '+' || *c == '=' || *c <= ' ' || *c == 0x7f || (*c >= 0x80 && !smtputf8)) {
            char digits[8];
            auto end = std::to_chars(digits, digits + sizeof digits, *c, 16).ptr;
            out.append("\\x{");
            if (end - digits < 2)
                out.push_back('0');
            out.append(ascii::upper(std::string_view(digits, static_cast<size_t>(end - digits))));
            out.push_back('}');
        } else {
            out.append(before.substr(0, before.size() - address.size()));
        }
    }
}

bool is_atom(std::string_view text)
{
    for (char c : text)
        if (!ascii::is_alnum(c) && c != '-' && c != '_' && c != '.')
            return false;
    return !text.empty();
}

} // namespace

std::optional<std::string> decode_xtext(std::string_view text)
{
    std::string out;
    while (!text.empty()) {
        const char c = text.front();
        if (c == '+') {
            const auto byte = take_hexchar(text);
            if (!byte)
                return std::nullopt;
            out.push_back(*byte);
            continue;
        }
        if (c <= ' ' || c >= 0x7f || c == '=')
            return std::nullopt;
        out.push_back(c);
        text.remove_prefix(1);
    }
    return out;
}

std::string encode_xtext(std::string_view text)
{
    std::string out;
    for (char c : text)
        append_encoded(out, c);
    return out;
}

std::optional<std::string> decode_orcpt(std::string_view text)
{
    const size_t semicolon = text.find(';');
    if (semicolon == std::string_view::npos || !is_atom(text.substr(0, semicolon)))
        return std::nullopt;
    const std::string_view type = text.substr(0, semicolon);
    const std::string_view address = text.substr(semicolon + 1);
    auto decoded = ascii::equal(type, "utf-8") ? decode_utf8_address(address) : decode_xtext(address);
    if (!decoded || decoded->empty())
        return std::nullopt;
    return std::string(type) + ";" + *decoded;
}

std::string encode_orcpt(std::string_view orcpt, bool smtputf8)
{
    const size_t semicolon = orcpt.find(';');
    if (semicolon == std::string_view::npos)
        return encode_xtext(orcpt);
    std::string out(orcpt.substr(0, semicolon + 1));
    const std::string_view address = orcpt.substr(semicolon + 1);
    if (ascii::equal(orcpt.substr(0, semicolon), "utf-8"))
        append_utf8_address(out, address, smtputf8);
    else
        out.append(encode_xtext(address));
    return out;
}

} // namespace posthouse::mail
