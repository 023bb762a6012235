// From 8bit to 7bit: see seven_bit.h.
#include "lib/mail/seven_bit.h"

#include "lib/base/ascii.h"

#include <algorithm>
#include <utility>

namespace posthouse::mail {

namespace {

std::string_view without_line_end(std::string_view line)
{
    if (line.ends_with('\n'))
        line.remove_suffix(1);
    if (line.ends_with('\r'))
        line.remove_suffix(1);
    return line;
}

constexpr size_t longest_name = 998; // of a header field: RFC 5322 section 2.1.1 leaves no room for more

} // namespace

void SevenBitConverter::append(std::string_view content, std::string& out)
{
    while (!content.empty()) {
        const size_t lf = content.find('\n');
        const bool ends_line = lf != std::string_view::npos;
        const std::string_view piece = content.substr(0, ends_line ? lf + 1 : content.size());
        content.remove_prefix(piece.size());
        if (held_.empty() && ends_line) {
            take(piece, true, out);
            continue;
        }
        held_.append(piece);
        if (!ends_line && held_.size() < most_held())
            return;
        std::string line = std::exchange(held_, std::string());
        if (!ends_line && line.ends_with('\r')) { // its LF may come
            line.pop_back();
            held_ = "\r";
        }
        take(line, ends_line, out);
    }
}

void SevenBitConverter::finish(std::string& out)
{
    if (!held_.empty()) {
        const std::string line = std::exchange(held_, std::string());
        take(line, false, out);
    }
    if (state_ == State::Header)
        end_header(false, out);
    else if (state_ == State::Encoded)
        encoder_.finish(out);
}

void SevenBitConverter::take(std::string_view piece, bool ends_line, std::string& out)
{
    const bool at_start = !in_line_;
    in_line_ = !ends_line;
    if (at_start)
        take_line_start(piece, ends_line, out);
    else if (state_ != State::Header)
        take_body(piece, ends_line, out);
    else
        take_header(piece, out);
}

void SevenBitConverter::take_line_start(std::string_view piece, bool ends_line, std::string& out)
{
    if (piece.starts_with("--") && take_boundary(piece, out))
        return;
    if (state_ != State::Header) {
        take_body(piece, ends_line, out);
        return;
    }
    if (without_line_end(piece).empty() && ends_line) {
        end_header(true, out);
        out.append(piece);
        return;
    }
    if (ascii::is_blank(piece.front())) {
        take_header(piece, out);
        return;
    }
    end_field(out);
    if (piece.substr(0, longest_name).find(':') != std::string_view::npos) {
        take_header(piece, out);
        return;
    }
    end_header(false, out); // no header field: a body without the empty line before it
    if (!piece.starts_with("--") || !take_boundary(piece, out))
        take_body(piece, ends_line, out);
}

// True when the line is a boundary of what encloses this part, the innermost first; then it has been passed on.
bool SevenBitConverter::take_boundary(std::string_view line, std::string& out)
{
    const BoundaryStack::Hit hit = enclosing_.match(line);
    if (!hit.found())
        return false;
    if (state_ == State::Header)
        end_header(false, out);
    encoder_ = QuotedPrintableEncoder();
    out.append(line);
    const bool digest = enclosing_.leave(hit);
    if (hit.closes())
        state_ = State::Plain; // an epilogue
    else
        begin_header(digest);
    field_is_cut_ = !line.ends_with('\n'); // what is left of this line is nothing to look at
    return true;
}

void SevenBitConverter::take_body(std::string_view piece, bool ends_line, std::string& out)
{
    if (state_ == State::Plain) {
        out.append(piece);
        return;
    }
    encoder_.add(ends_line ? without_line_end(piece) : piece, out);
    if (ends_line)
        encoder_.end_line(out);
}

// ---- headers

void SevenBitConverter::begin_header(bool digest)
{
    state_ = State::Header;
    field_.clear();
    field_is_cut_ = false;
    has_type_ = false;
    type_ = ContentType();
    if (digest) {
        type_.type = "message";
        type_.subtype = "rfc822";
    }
    has_encoding_ = false;
    identity_ = true;
    eight_bit_field_.clear();
}

void SevenBitConverter::take_header(std::string_view piece, std::string& out)
{
    if (field_is_cut_) {
        out.append(piece);
        return;
    }
    field_.append(piece);
    if (field_.size() <= limits_.header_field)
        return;
    end_field(out);
    field_is_cut_ = true; // its rest is passed on as it is
}

// A header field is complete. The one that says 8bit is kept back, all others are passed on.
void SevenBitConverter::end_field(std::string& out)
{
    field_is_cut_ = false;
    if (field_.empty())
        return;
    const std::string field = std::exchange(field_, std::string());
    const size_t colon = std::min(field.find(':'), field.size());
    const std::string_view name = ascii::trim(std::string_view(field).substr(0, colon));
    const std::string_view body = std::string_view(field).substr(std::min(colon + 1, field.size()));
    if (!has_type_ && ascii::equal(name, "Content-Type")) {
        has_type_ = true;
        type_ = parse_content_type(body);
    } else if (ascii::equal(name, "Content-Transfer-Encoding")) {
        const std::string encoding = parse_transfer_encoding(body);
        const bool eight_bit = encoding == "8bit" || encoding == "binary";
        if (!has_encoding_)
            identity_ = eight_bit || encoding == "7bit";
        has_encoding_ = true;
        if (eight_bit && identity_) {
            eight_bit_field_ = field;
            return;
        }
    }
    out.append(field);
}

void SevenBitConverter::end_header(bool at_empty_line, std::string& out)
{
    end_field(out);
    state_ = enter_body(out);
    if (state_ != State::Header)
        return;
    if (at_empty_line)
        begin_header(false); // of the message within
    else
        state_ = State::Plain;
}

// What follows this header; the encoding that was kept back goes out as it now is.
SevenBitConverter::State SevenBitConverter::enter_body(std::string& out)
{
    const std::string field = std::exchange(eight_bit_field_, std::string());
    const bool multipart = type_.type == "multipart";
    if (!multipart && type_.type != "message") {
        if (field.empty())
            return State::Plain;
        out.append("Content-Transfer-Encoding: quoted-printable\r\n");
        return State::Encoded;
    }
    const bool can_enter = multipart ? type_.subtype != "signed" && !type_.boundary.empty() : type_.subtype == "rfc822";
    if (!can_enter || !identity_ || enclosing_.depth() >= limits_.nesting) {
        out.append(field);
        return State::Plain;
    }
    if (!field.empty())
        out.append("Content-Transfer-Encoding: 7bit\r\n");
    if (!multipart)
        return State::Header;
    enclosing_.push_multipart(type_.boundary, type_.subtype == "digest");
    return State::Plain;
}

} // namespace posthouse::mail
