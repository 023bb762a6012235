// UTF-8: see utf8.h.
#include "lib/mail/utf8.h"

namespace posthouse::mail {

namespace {
bool is_code_point(uint32_t c) { return c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff); }
} // namespace

std::optional<uint32_t> take_utf8(std::string_view& text)
{
    if (text.empty())
        return std::nullopt;
    const auto first = static_cast<unsigned char>(text[0]);
    if (first < 0x80) {
        text.remove_prefix(1);
        return first;
    }
    const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length)
        return std::nullopt;
    uint32_t value = first & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; ++i) {
        const auto next = static_cast<unsigned char>(text[i]);
        if ((next & 0xc0) != 0x80)
            return std::nullopt;
        value = (value << 6) | (next & 0x3fu);
    }
    constexpr uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < smallest[length] || !is_code_point(value))
        return std::nullopt;
    text.remove_prefix(length);
    return value;
}

bool is_utf8(std::string_view text)
{
    while (!text.empty())
        if (!take_utf8(text))
            return false;
    return true;
}

bool append_utf8(std::string& out, uint32_t c)
{
    if (!is_code_point(c))
        return false;
    const auto tail = [&](int shift) { out.push_back(static_cast<char>(0x80 | ((c >> shift) & 0x3f))); };
    if (c < 0x80) {
        out.push_back(static_cast<char>(c));
    } else if (c < 0x800) {
        out.push_back(static_cast<char>(0xc0 | (c >> 6)));
        tail(0);
    } else if (c < 0x10000) {
        out.push_back(static_cast<char>(0xe0 | (c >> 12)));
        tail(6);
        tail(0);
    } else {
        out.push_back(static_cast<char>(0xf0 | (c >> 18)));
        tail(12);
        tail(6);
        tail(0);
    }
    return true;
}

} // namespace posthouse::mail
