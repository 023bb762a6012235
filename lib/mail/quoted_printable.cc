// Encoding as quoted-printable: see quoted_printable.h.
#include "lib/mail/quoted_printable.h"

#include "lib/base/ascii.h"

namespace posthouse::mail {

namespace {
constexpr size_t longest_line = 76; // RFC 2045 section 6.7 (5), the "=" of a soft line break included
} // namespace

void QuotedPrintableEncoder::put(char c, bool encoded, std::string& out)
{
    const size_t width = encoded ? 3 : 1;
    if (column_ + width > longest_line - 1) {
        out.append("=\r\n");
        column_ = 0;
    }
    // A line that begins with "-" could be taken for a boundary that the text did not hold.
    encoded = encoded || (column_ == 0 && c == '-');
    if (!encoded) {
        out.push_back(c);
        ++column_;
        return;
    }
    constexpr char digits[] = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('=');
    out.push_back(digits[byte >> 4]);
    out.push_back(digits[byte & 15]);
    column_ += 3;
}

void QuotedPrintableEncoder::flush_blank(bool at_end_of_line, std::string& out)
{
    if (blank_ == '\0')
        return;
    put(blank_, at_end_of_line, out);
    blank_ = '\0';
}

void QuotedPrintableEncoder::add(std::string_view text, std::string& out)
{
    for (const char c : text) {
        flush_blank(false, out);
        if (ascii::is_blank(c))
            blank_ = c;
        else
            put(c, c == '=' || ascii::is_control(c) || ascii::is_8bit(c), out);
    }
}

void QuotedPrintableEncoder::end_line(std::string& out)
{
    finish(out);
    out.append("\r\n");
}

void QuotedPrintableEncoder::finish(std::string& out)
{
    flush_blank(true, out);
    column_ = 0;
}

} // namespace posthouse::mail
