// The MIME structure of a message that streams by: see mime_tracker.h.
#include "lib/mail/mime_tracker.h"

#include "lib/base/ascii.h"

#include <algorithm>
#include <utility>

namespace posthouse::mail {

namespace {

constexpr size_t npos = std::string_view::npos;

bool is_empty_line(std::string_view line)
{
    return line == "\r\n" || line == "\n";
}

bool is_identity(std::string_view encoding)
{
    return encoding == "7bit" || encoding == "8bit" || encoding == "binary";
}

} // namespace

void MimeTracker::feed(std::string_view piece)
{
    if (held_.empty()) {
        view_ = piece;
    } else {
        held_.append(piece);
        view_ = held_;
    }
    position_ = 0;
}

void MimeTracker::finish()
{
    finished_ = true;
    view_ = held_;
    position_ = 0;
}

MimeItem MimeTracker::need_more()
{
    if (view_.data() == held_.data())
        held_.erase(0, position_);
    else
        held_.assign(view_.substr(position_));
    view_ = std::string_view();
    position_ = 0;
    return MimeItem();
}

MimeItem MimeTracker::next()
{
    while (true) {
        const std::string_view rest = view_.substr(position_);
        if (rest.empty()) {
            if (finished_ && !field_.empty())
                return take_field(false);
            return need_more();
        }
        if (state_ == State::Body && !wants_lines()) {
            const size_t length = text_run(rest);
            if (length > 0)
                return take_bytes(MimeItem::Kind::Text, length);
        }
        const size_t length = line_length(rest);
        if (length == 0)
            return need_more();
        const std::string_view line = rest.substr(0, length);
        const bool at_start = !in_line_;
        if (at_start && !ascii::is_blank(line.front())) {
            skipping_ = false;
            if (!field_.empty())
                return take_field(false); // and this line at the next call
        }
        if (at_start && line.starts_with("--") && take_boundary(line))
            return take_bytes(wants_lines() ? MimeItem::Kind::Line : MimeItem::Kind::Text, length);
        if (state_ == State::Body) {
            const bool is_end_alone = !at_start && is_empty_line(line);
            return take_bytes(wants_lines() && !is_end_alone ? MimeItem::Kind::Line : MimeItem::Kind::Text, length);
        }
        if (at_start && is_empty_line(line)) {
            const MimeItem item = take_bytes(MimeItem::Kind::Text, length);
            begin_body(true);
            return item;
        }
        if (skipping_) {
            MimeItem item = take_bytes(MimeItem::Kind::Text, length);
            item.of_field = true;
            return item;
        }
        if (field_.empty() && (!at_start || field_name_length(line) == 0)) {
            begin_body(false); // no header field: a body without the empty line before it
            continue;
        }
        field_.append(line);
        (void)take_bytes(MimeItem::Kind::Text, length); // it comes with its field
        if (field_.size() > limits_.header_field)
            return take_field(true);
    }
}

// Of the line at hand, or as much of it as is looked at; 0 while that is not there.
size_t MimeTracker::line_length(std::string_view rest)
{
    const bool may_be_boundary = !in_line_ && rest.front() == '-';
    const size_t most = may_be_boundary ? std::max(limits_.line, enclosing_.line_length()) : limits_.line;
    const size_t newline = rest.substr(0, most).find('\n', searched_);
    if (newline != npos)
        return newline + 1;
    if (rest.size() >= most)
        return most;
    if (finished_)
        return rest.size();
    searched_ = rest.size();
    return 0;
}

// How much of a body goes by without a look: no line of it can be a boundary.
size_t MimeTracker::text_run(std::string_view rest) const
{
    if (enclosing_.empty())
        return rest.size();
    size_t at = 0;
    bool at_start = !in_line_;
    while (at < rest.size() && !(at_start && rest[at] == '-')) {
        const size_t newline = rest.find('\n', at);
        if (newline == npos)
            return rest.size();
        at = newline + 1;
        at_start = true;
    }
    return at;
}

MimeItem MimeTracker::take_bytes(MimeItem::Kind kind, size_t length)
{
    MimeItem item(kind, view_.substr(position_, length));
    item.seven_bit = seven_bit_;
    position_ += length;
    searched_ = 0;
    in_line_ = item.text.back() != '\n';
    body_size_ += length;
    return item;
}

MimeItem MimeTracker::take_field(bool cut)
{
    taken_ = std::exchange(field_, std::string());
    skipping_ = cut;
    MimeItem item(in_message_ ? MimeItem::Kind::InnerField : MimeItem::Kind::PartField, taken_);
    item.name_length = field_name_length(taken_);
    item.cut = cut;
    const size_t colon = std::min(taken_.find(':', item.name_length), taken_.size() - 1);
    note_field(item.name(), item.text.substr(colon + 1));
    return item;
}

void MimeTracker::note_field(std::string_view name, std::string_view body)
{
    if (!has_type_ && ascii::equal(name, "Content-Type")) {
        has_type_ = true;
        type_ = parse_content_type(body);
    } else if (!has_encoding_ && ascii::equal(name, "Content-Transfer-Encoding")) {
        has_encoding_ = true;
        encoding_ = parse_transfer_encoding(body);
    }
}

void MimeTracker::end_header()
{
    begin_body(true);
}

// True when the line is a boundary of what encloses this part.
bool MimeTracker::take_boundary(std::string_view line)
{
    const BoundaryStack::Hit hit = enclosing_.match(line);
    if (!hit.found())
        return false;
    const bool digest = enclosing_.leave(hit);
    if (hit.closes()) {
        state_ = State::Body; // an epilogue
        seven_bit_ = true;
    } else {
        begin_header(false, digest);
        skipping_ = !line.ends_with('\n'); // what is left of this line is nothing to look at
    }
    return true;
}

void MimeTracker::begin_header(bool of_message, bool digest)
{
    state_ = State::Header;
    in_message_ = of_message;
    skipping_ = false;
    has_type_ = has_encoding_ = false;
    type_ = ContentType();
    if (digest) {
        type_.type = "message";
        type_.subtype = "rfc822";
    }
    encoding_ = "7bit";
}

// The header is over: what follows it?
void MimeTracker::begin_body(bool at_empty_line)
{
    state_ = State::Body;
    body_size_ = 0;
    seven_bit_ = encoding_ != "8bit" && encoding_ != "binary";
    if (!limits_.structure)
        return;
    const bool multipart = type_.type == "multipart";
    const bool message = type_.type == "message";
    // RFC 2046 section 5.2; RFC 6532 section 3.5 lets international messages be encoded.
    if ((multipart || message) && !is_identity(encoding_) && !type_.subtype.starts_with("global"))
        note_fault(MimeFault::EncodingDomain);
    const bool inner = message && (type_.subtype == "rfc822" || type_.subtype == "global") && is_identity(encoding_);
    if (!inner && (!multipart || type_.boundary.empty()))
        return;
    if (enclosing_.depth() >= limits_.nesting) {
        note_fault(MimeFault::Nesting);
        return;
    }
    if (multipart) {
        enclosing_.push_multipart(type_.boundary, type_.subtype == "digest");
    } else if (at_empty_line) {
        enclosing_.push_message();
        begin_header(true, false);
    }
}

void MimeTracker::note_fault(MimeFault fault)
{
    if (fault_ == MimeFault::None)
        fault_ = fault;
}

} // namespace posthouse::mail
