// SevenBitConverter: a message for a host without 8BITMIME (RFC 6152 section 3). Parts that say 8bit or binary
// in their Content-Transfer-Encoding become quoted-printable; a multipart or message/rfc822 that said so says
// 7bit, as all in it is. Streams: content in, in pieces of any size, CRLF lines; a line is never held beyond
// a limit. Pure.
//
// Untouched stay: parts that say nothing of 8-bit (to guess a meaning for their bytes would be worse than to
// send them), header fields, a multipart/signed with all in it (RFC 1847 section 2.1: whoever changes it
// breaks the signature), other message/* types, which allow no encoding (RFC 2046 section 5.2), and what is
// nested deeper than the limit.
#pragma once

#include "lib/mail/mime_boundary.h"
#include "lib/mail/mime_field.h"
#include "lib/mail/quoted_printable.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace posthouse::mail {

struct SevenBitLimits {
    SevenBitLimits() = default;
    size_t nesting = 100;      // mime_nesting_limit
    size_t boundary = 2048;    // mime_boundary_length_limit: of longer ones this much counts
    size_t header_field = 102400; // header_size_limit: the rest of a longer one is not looked at
};

class SevenBitConverter {
public:
    explicit SevenBitConverter(const SevenBitLimits& limits = SevenBitLimits()) : limits_(limits), enclosing_(limits.boundary) {}

    void append(std::string_view content, std::string& out);
    void finish(std::string& out);

private:
    enum class State : unsigned char { Header, Plain, Encoded };
    // Enough of a line to know a boundary, or a whole line of ordinary length.
    size_t most_held() const { return enclosing_.line_length(); }
    void take(std::string_view piece, bool ends_line, std::string& out);
    void take_line_start(std::string_view piece, bool ends_line, std::string& out);
    bool take_boundary(std::string_view line, std::string& out);
    void take_header(std::string_view piece, std::string& out);
    void take_body(std::string_view piece, bool ends_line, std::string& out);
    void begin_header(bool digest);
    void end_field(std::string& out);
    void end_header(bool at_empty_line, std::string& out);
    State enter_body(std::string& out);

    const SevenBitLimits limits_;
    State state_ = State::Header;
    bool in_line_ = false; // the line before the next piece has begun
    std::string held_;     // the begin of a line whose end has not come
    BoundaryStack enclosing_;
    QuotedPrintableEncoder encoder_;

    // Of the header that is being read.
    std::string field_; // with its line ends
    bool field_is_cut_ = false;
    bool has_type_ = false;
    ContentType type_;
    bool has_encoding_ = false;
    bool identity_ = true;       // 7bit, 8bit or binary
    std::string eight_bit_field_; // the field that says 8bit or binary, kept back until it is clear what follows
};

} // namespace posthouse::mail
