// HeaderScanner: finds the header fields at the begin of a message that arrives in pieces, and where they
// end. Pure; looks at each byte of the header once and at none of the body. What a piece holds is handed
// out as views into it; only a field that its piece ends within is copied, up to a limit.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace posthouse::queue {

class HeaderItem {
public:
    enum class Kind : unsigned char {
        NeedMore,    // call keep_rest(), then feed() or finish()
        MailboxLine, // "From someone ..." as the very first line: mbox, not a header
        Field,       // one field with its folded lines and line ends
        LongField,   // the begin of a field above the limit
        MoreOfField, // what follows of it
        End,         // the empty line (text), or no text when something else than a field came; see rest()
    };
    HeaderItem() = default;
    HeaderItem(Kind the_kind, std::string_view the_text) : kind(the_kind), text(the_text) {}

    // Field and LongField: without blanks before the colon, and what follows the colon.
    std::string_view name() const { return text.substr(0, name_length); }
    std::string_view body() const;

    Kind kind = Kind::NeedMore;
    std::string_view text; // valid until the next feed(), keep_rest() or finish()
    size_t name_length = 0;
};

class HeaderScanner {
public:
    explicit HeaderScanner(size_t field_limit) : field_limit_(field_limit) {}

    // `piece` must stay as it is until keep_rest().
    void feed(std::string_view piece);
    void finish(); // no more pieces: what is left is taken for whole
    HeaderItem next();
    void keep_rest();

    // After End: what is there of the body.
    std::string_view rest() const { return view_.substr(position_); }

private:
    HeaderItem take(HeaderItem::Kind kind, size_t end, size_t name_length = 0);
    HeaderItem more_of_field();
    size_t find_line_end();
    size_t find_field_end();

    const size_t field_limit_;
    std::string kept_;
    std::string_view view_; // of the caller's piece, or of kept_
    size_t position_ = 0;
    size_t searched_ = 0;   // no field end before this
    size_t line_end_ = static_cast<size_t>(-1); // of the field's first line, once found
    bool first_line_ = true;
    bool in_long_field_ = false;
    bool finished_ = false;
};

} // namespace posthouse::queue
