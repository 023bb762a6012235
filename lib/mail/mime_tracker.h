// MimeTracker: goes through the body of a message as it arrives and tells what is a header field of a part or of an
// attached message, and what is a line of a body. For content checks at intake. Pure; linear in what it reads; holds
// no more than a header field or a line up to their limits, and the boundaries of what encloses the place at hand.
//
//   MimeTracker tracker(limits);
//   tracker.note_field("Content-Type", " multipart/mixed; boundary=x"); // those of the message's own header
//   tracker.end_header();
//   tracker.feed(piece);
//   while ((item = tracker.next()).kind != MimeItem::Kind::NeedMore) ...   // all of the piece comes back, in order
//
// However the body is cut into pieces, fields and lines are the same. Reads on where others might read on: nothing in
// a message is an error that stops it; what an administrator may want to refuse is told by fault().
#pragma once

#include "lib/mail/mime_boundary.h"
#include "lib/mail/mime_field.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace posthouse::mail {

struct MimeLimits {
    MimeLimits() = default;
    size_t nesting = 100;         // mime_nesting_limit; what is deeper is body text
    size_t boundary = 2048;       // mime_boundary_length_limit
    size_t header_field = 102400; // header_size_limit; the rest of a longer one comes as Text
    size_t line = 2048;           // a longer line comes in pieces of this much
    uint64_t checked_body = 0;    // of each part this much comes as Line (rounded up to a line), the rest as Text
    bool structure = true;        // false: all is one body (disable_mime_input_processing)
};

class MimeItem {
public:
    enum class Kind : unsigned char {
        NeedMore,   // or the end
        Text,       // nothing to look at: bytes as they come
        Line,       // a line of a body, or a boundary; with its line end, unless cut at the limit
        PartField,  // a whole header field of a MIME part, with its line ends
        InnerField, // of a message within
    };
    MimeItem() = default;
    MimeItem(Kind the_kind, std::string_view the_text) : kind(the_kind), text(the_text) {}

    std::string_view name() const { return text.substr(0, name_length); } // of a field

    Kind kind = Kind::NeedMore;
    std::string_view text; // valid until the next call
    size_t name_length = 0;
    bool cut = false;      // a field above the limit (by a line at most): the rest of it follows as Text
    bool of_field = false; // Text: such a rest
    bool seven_bit = true; // Text and Line: what the part says it consists of
};

enum class MimeFault : unsigned char { None, Nesting, EncodingDomain };

class MimeTracker {
public:
    explicit MimeTracker(const MimeLimits& limits) : limits_(limits), enclosing_(limits.boundary) {}

    void note_field(std::string_view name, std::string_view body);
    void end_header();

    void feed(std::string_view piece); // must stay as it is until NeedMore
    void finish();                     // no more pieces: what is left is taken for whole
    MimeItem next();
    // Behind what the last PartField, InnerField or Line was: for one who looks no further.
    std::string_view rest() const { return view_.substr(position_); }

    // The first; for good.
    MimeFault fault() const { return fault_; }

private:
    enum class State : unsigned char { Header, Body };

    MimeItem need_more();
    size_t line_length(std::string_view rest);
    size_t text_run(std::string_view rest) const;
    MimeItem take_bytes(MimeItem::Kind kind, size_t length);
    MimeItem take_field(bool cut);
    bool take_boundary(std::string_view line);
    void begin_header(bool of_message, bool digest);
    void begin_body(bool at_empty_line);
    bool wants_lines() const { return body_size_ < limits_.checked_body; }
    void note_fault(MimeFault fault);

    const MimeLimits limits_;
    BoundaryStack enclosing_;
    MimeFault fault_ = MimeFault::None;
    State state_ = State::Header;

    std::string held_;      // what is left of earlier pieces
    std::string_view view_; // of the caller's piece, or of held_
    size_t position_ = 0;
    size_t searched_ = 0;   // behind position_: no line end before this
    bool in_line_ = false;  // the line at hand has begun before position_
    bool finished_ = false;

    // Of the header that is being read, or was read last.
    bool in_message_ = true; // it is that of a message
    std::string field_;      // what has come of the field at hand
    std::string taken_;      // the field that next() gave out
    bool skipping_ = false;  // the rest of a field above the limit
    bool has_type_ = false;
    bool has_encoding_ = false;
    ContentType type_;
    std::string encoding_ = "7bit";

    uint64_t body_size_ = 0; // of the part at hand
    bool seven_bit_ = true;  // what it says
};

} // namespace posthouse::mail
