// Reading message content off the wire: takes stuffed dots away, makes all line ends CRLF, replaces stray CR
// and NUL by a space, finds the end, and collects the ContentFacts. Pure: bytes in, views out, cut anywhere.
//
// The end is CR LF . CR LF and nothing else (RFC 5321 section 4.1.1.4), unless `LineEnds::Legacy` is asked
// for (smtpd_forbid_bare_newline = no), where a bare LF is a line end in every respect. Whether a bare LF is
// refused or noted is the caller's decision: see `bare_lf()`.
#pragma once

#include "lib/smtp/content_facts.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace posthouse::smtp {

class DataReader {
public:
    enum class LineEnds : uint8_t { Standard, Legacy };
    explicit DataReader(LineEnds line_ends = LineEnds::Standard) : line_ends_(line_ends) {}

    struct Step {
        size_t consumed = 0;      // of the input; what is left must be given again, with more behind it
        std::string_view content; // into the input, or into the reader: valid until its next call
        bool finished = false;
    };
    // DATA. consumed may be less than the input: "\r", "." and ".\r" at its end wait for what follows.
    Step scan(std::string_view input);
    // BDAT: no dots, no end mark; all is consumed (a CR at the end is kept for the next chunk).
    Step scan_chunk(std::string_view input);
    // After BDAT LAST: what completes the last line, or nothing.
    std::string_view finish_chunks();

    const ContentFacts& facts() const { return facts_; }
    uint64_t size() const { return size_; } // bytes of content given out
    bool bare_lf() const { return bare_lf_; }
    bool in_header() const { return in_header_; }

private:
    enum class At : uint8_t { LineStart, AfterBareLf, InLine };
    enum class Dot : uint8_t { NeedMore, End, Kept, Stuffed };
    struct Output;

    Dot classify_dot(std::string_view rest) const;
    void note_text(std::string_view text);
    void end_line(At next);
    Step run(std::string_view input, bool dots, bool keep_cr);

    LineEnds line_ends_;
    At at_ = At::LineStart;
    bool in_header_ = true;
    bool bare_lf_ = false;
    bool pending_cr_ = false; // BDAT only
    uint64_t line_length_ = 0;
    uint64_t size_ = 0;
    ContentFacts facts_;
    std::string out_;
};

} // namespace posthouse::smtp
