// Header fields out of pieces, see header_scanner.h: for intake.cc, and for sendmail, which looks for recipients.
#include "lib/queue/header_scanner.h"

#include "lib/base/ascii.h"
#include "lib/mail/mime_field.h"

#include <algorithm>

namespace posthouse::queue {

namespace {

constexpr size_t npos = std::string_view::npos;

bool is_mailbox_line(std::string_view line)
{
    line.remove_prefix(std::min(line.size(), line.find_first_not_of('>')));
    return line.starts_with("From ");
}

} // namespace

std::string_view HeaderItem::body() const
{
    const size_t colon = text.find(':', name_length);
    std::string_view body = text.substr(colon + 1);
    if (body.ends_with('\n'))
        body.remove_suffix(1);
    if (body.ends_with('\r'))
        body.remove_suffix(1);
    return body;
}

void HeaderScanner::feed(std::string_view piece)
{
    if (kept_.empty()) {
        view_ = piece;
    } else {
        kept_.append(piece);
        view_ = kept_;
    }
    position_ = 0;
}

void HeaderScanner::finish()
{
    finished_ = true;
    view_ = kept_;
    position_ = 0;
}

void HeaderScanner::keep_rest()
{
    searched_ -= position_;
    if (line_end_ != npos)
        line_end_ -= position_;
    if (view_.data() == kept_.data())
        kept_.erase(0, position_);
    else
        kept_.assign(view_.substr(position_));
    view_ = kept_;
    position_ = 0;
}

HeaderItem HeaderScanner::take(HeaderItem::Kind kind, size_t end, size_t name_length)
{
    HeaderItem item(kind, view_.substr(position_, end - position_));
    item.name_length = name_length;
    position_ = end;
    searched_ = end;
    line_end_ = npos;
    return item;
}

// Just behind the line end that no blank follows, or npos while that is not known.
size_t HeaderScanner::find_field_end()
{
    while (true) {
        const size_t newline = view_.find('\n', searched_);
        if (newline != npos && newline + 1 < view_.size()) {
            if (!ascii::is_blank(view_[newline + 1]))
                return newline + 1;
            searched_ = newline + 1;
            continue;
        }
        searched_ = newline == npos ? view_.size() : newline;
        return finished_ ? view_.size() : npos;
    }
}

// The end of the field's first line, or npos. Remembered: the search for the field's end begins there.
size_t HeaderScanner::find_line_end()
{
    if (line_end_ != npos)
        return line_end_;
    const size_t newline = view_.find('\n', searched_);
    if (newline != npos) {
        searched_ = newline;
        return line_end_ = newline + 1;
    }
    searched_ = view_.size();
    return finished_ ? view_.size() : npos;
}

HeaderItem HeaderScanner::more_of_field()
{
    const size_t end = find_field_end();
    if (end != npos) {
        in_long_field_ = false;
        return take(HeaderItem::Kind::MoreOfField, end);
    }
    // A line end that comes last is kept: what follows it decides whether the field goes on.
    size_t part_end = view_.size();
    if (view_.ends_with('\n'))
        --part_end;
    if (part_end <= position_)
        return {};
    return take(HeaderItem::Kind::MoreOfField, part_end);
}

HeaderItem HeaderScanner::next()
{
    if (in_long_field_)
        return more_of_field();
    const std::string_view left = view_.substr(position_);
    if (left.starts_with("\r\n"))
        return take(HeaderItem::Kind::End, position_ + 2);
    if (left.starts_with('\n'))
        return take(HeaderItem::Kind::End, position_ + 1);
    if (left.empty() || (left == "\r" && !finished_))
        return finished_ ? take(HeaderItem::Kind::End, position_) : HeaderItem();
    if (ascii::is_blank(left.front())) // only before the first field: folded lines belong to theirs
        return take(HeaderItem::Kind::End, position_);

    const size_t line_end = find_line_end();
    if (line_end == npos && left.size() <= field_limit_)
        return {};
    // No more of the line than is waited for when it comes byte by byte, so that the pieces make no difference.
    const std::string_view line = view_.substr(position_, std::min(line_end - position_, field_limit_ + 1));
    const bool mailbox_line = first_line_ && is_mailbox_line(line) && line.ends_with('\n');
    first_line_ = false;
    if (mailbox_line)
        return take(HeaderItem::Kind::MailboxLine, line_end);
    const size_t name_length = mail::field_name_length(line);
    if (name_length == 0)
        return take(HeaderItem::Kind::End, position_);
    const size_t end = line_end == npos ? npos : find_field_end();
    if (end != npos) {
        const bool is_long = end - position_ > field_limit_;
        return take(is_long ? HeaderItem::Kind::LongField : HeaderItem::Kind::Field, end, name_length);
    }
    if (left.size() <= field_limit_)
        return {};
    in_long_field_ = true;
    return take(HeaderItem::Kind::LongField, view_.size() - (view_.ends_with('\n') ? 1 : 0), name_length);
}

} // namespace posthouse::queue
