// One SMTP reply, both sides: building for the server, bounded reading for the client.
#pragma once

#include "lib/base/result.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace posthouse::smtp {

// The length of an enhanced status code of `code_class` ('2', '4' or '5') at the start of `text` (RFC 2034 section 4), or 0.
size_t enhanced_code_length(std::string_view text, char code_class);

class Reply {
public:
    // Reply(550, "5.1.1", "<x@y>: User unknown"); dsn may be empty (EHLO, 220, 354, 334).
    // CR, LF and NUL in a text become '?' on the wire: text may hold words of strangers.
    Reply(int its_code, std::string_view its_dsn, std::string_view its_text)
        : code(its_code), dsn(its_dsn), text(its_text)
    {
    }
    Reply() = default;

    Reply& add(std::string_view line); // one more line

    int code = 0;
    std::string dsn;  // enhanced status code, or ""
    std::string text; // without code and dsn; lines separated by '\n'

    bool positive() const { return code >= 200 && code < 300; }
    bool intermediate() const { return code >= 300 && code < 400; }
    bool temporary() const { return code >= 400 && code < 500; }
    bool permanent() const { return code >= 500 && code < 600; }

    // "250-2.1.0 first\r\n250 2.1.0 last\r\n"
    std::string to_wire() const;
    void append_wire(std::string& out) const;
    // In one line, for log and Diagnostic-Code: "550 5.1.1 first last".
    std::string to_text() const;

    bool operator==(const Reply&) const = default;
};

struct ReplyLimits {
    ReplyLimits() = default;
    size_t line = 2048;      // of a line, more is cut
    size_t text = 8192;      // of all lines together, more is dropped
    size_t lines = 1000;     // more is an error
};

// Takes the lines of one reply, one after the other.
class ReplyParser {
public:
    explicit ReplyParser(const ReplyLimits& limits = ReplyLimits()) : limits_(limits) {}

    // A line without its line end. True when it was the last one; an Error (Corrupt, 4.5.0 or so) when it is
    // no reply at all.
    Result<bool> line(std::string_view line);
    Reply& reply() { return reply_; }

private:
    ReplyLimits limits_;
    Reply reply_;
    size_t lines_ = 0;
};

} // namespace posthouse::smtp
