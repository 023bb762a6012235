// Content to the wire after DATA: stuffs dots, folds lines above smtp_line_length_limit with CRLF SP, never
// sends a bare CR or LF. When the facts allow it, content goes out as it is.
#pragma once

#include "lib/smtp/content_facts.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace posthouse::smtp {

class DataWriter {
public:
    // line_limit 0: lines are never folded.
    DataWriter(const ContentFacts& facts, size_t line_limit);

    // True when content needs no change: send it as it is (through `note_sent`), then finish().
    bool verbatim() const { return verbatim_; }
    void append(std::string_view content, std::string& out);
    // For content that was sent without `append`.
    void note_sent(std::string_view content);
    // CRLF when the last line lacks it, then ".\r\n".
    void finish(std::string& out);

private:
    bool is_plain_line(std::string_view content, size_t begin, size_t lf) const;
    void append_changed(std::string_view line, std::string& out);
    void append_text(std::string_view text, std::string& out);

    bool verbatim_;
    size_t line_limit_;
    size_t column_ = 0;
    bool pending_cr_ = false;
};

} // namespace posthouse::smtp
