// What sendmail makes of its standard input: see sendmail_message.h.
#include "tools/sendmail_message.h"

#include "lib/base/ascii.h"
#include "lib/mail/address_list.h"
#include "lib/queue/drop_file.h"

#include <algorithm>
#include <utility>

namespace posthouse::tools {

namespace {

constexpr size_t longest_header_field = 16 << 20; // memory for one list of recipients
constexpr size_t longest_mailbox_line = 1000;

} // namespace

MessageInput::MessageInput(bool dot_ends, bool recipients_from_header)
    : dot_ends_(dot_ends), in_header_(recipients_from_header), scanner_(longest_header_field)
{
}

std::string MessageInput::take(std::string_view piece)
{
    pending_.append(piece);
    return advance(false);
}

std::string MessageInput::finish()
{
    return advance(true);
}

// True when none can follow any more.
bool MessageInput::skip_mailbox_lines(bool last)
{
    while (at_begin_) {
        const size_t newline = pending_.find('\n');
        if (newline == std::string::npos && !last && pending_.size() < longest_mailbox_line)
            return false;
        const size_t start = std::min(pending_.size(), pending_.find_first_not_of('>'));
        if (newline != std::string::npos && std::string_view(pending_).substr(start).starts_with("From "))
            pending_.erase(0, newline + 1);
        else
            at_begin_ = false;
    }
    return true;
}

// How much of what is pending surely belongs to the message.
size_t MessageInput::find_end_of_lines(bool last)
{
    size_t line = 0;
    bool starts_line = at_line_start_;
    while (line < pending_.size()) {
        const std::string_view rest = std::string_view(pending_).substr(line);
        if (starts_line && rest.front() == '.') {
            const bool undecided = rest == "." || rest == ".\r";
            if (undecided && !last)
                return line;
            if (undecided || rest.starts_with(".\n") || rest.starts_with(".\r\n")) {
                ended_ = true;
                return line;
            }
        }
        const size_t newline = rest.find('\n');
        starts_line = newline != std::string_view::npos;
        line = starts_line ? line + newline + 1 : pending_.size();
    }
    return line;
}

std::string MessageInput::advance(bool last)
{
    if (ended_ && !last)
        return {};
    if (!skip_mailbox_lines(last))
        return {};
    size_t length = 0;
    if (!ended_)
        length = dot_ends_ ? find_end_of_lines(last) : pending_.size();
    std::string out = pass(std::string_view(pending_).substr(0, length), last);
    if (length > 0)
        at_line_start_ = pending_[length - 1] == '\n';
    pending_.erase(0, length);
    return out;
}

std::string MessageInput::pass(std::string_view text, bool last)
{
    if (!in_header_)
        return std::string(text);
    scanner_.feed(text);
    std::string out = scan_header();
    if (last && in_header_) {
        scanner_.finish();
        out += scan_header();
    }
    return out;
}

std::string MessageInput::scan_header()
{
    using Kind = queue::HeaderItem::Kind;
    std::string out;
    while (true) {
        const queue::HeaderItem item = scanner_.next();
        switch (item.kind) {
        case Kind::NeedMore:
            scanner_.keep_rest();
            return out;
        case Kind::End:
            in_header_ = false;
            out += item.text;
            out += scanner_.rest();
            return out;
        case Kind::Field:
        case Kind::LongField:
            dropping_ = ascii::equal(item.name(), "bcc") || ascii::equal(item.name(), "resent-bcc");
            note_field(item.name(), item.body(), item.kind == Kind::LongField);
            break;
        case Kind::MailboxLine:
        case Kind::MoreOfField:
            break;
        }
        if (!dropping_)
            out += item.text;
    }
}

void MessageInput::note_field(std::string_view name, std::string_view body, bool is_cut)
{
    constexpr std::string_view resent_prefix = "resent-";
    const bool resent = ascii::starts_with(name, resent_prefix);
    if (resent)
        name.remove_prefix(resent_prefix.size());
    if (!ascii::equal(name, "to") && !ascii::equal(name, "cc") && !ascii::equal(name, "bcc"))
        return;
    resent_ = resent_ || resent;
    recipients_cut_ = recipients_cut_ || is_cut;
    std::vector<std::string>& into = resent ? resent_recipients_ : plain_recipients_;
    // One more than postdrop takes: it refuses the message then, where a shorter list would lose the rest.
    for (std::string& address : mail::addresses_of(body, queue::drop_recipient_limit + 1))
        into.push_back(std::move(address));
}

} // namespace posthouse::tools
