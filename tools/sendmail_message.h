// The message that comes in on sendmail's standard input, piece by piece: where it ends (a line with a
// dot, unless -i), mbox lines before it, and with -t the recipients that its header names. Pure.
#pragma once

#include "lib/queue/header_scanner.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::tools {

class MessageInput {
public:
    MessageInput(bool dot_ends, bool recipients_from_header);

    // What of the message is to be stored now.
    std::string take(std::string_view piece);
    std::string finish(); // standard input has ended, or ended() is true
    // The dot came: what follows does not belong to the message.
    bool ended() const { return ended_; }

    // With -t, after finish(): the addresses of To, Cc and Bcc, or those of Resent-To, Resent-Cc and
    // Resent-Bcc when there is one of these.
    const std::vector<std::string>& recipients() const { return resent_ ? resent_recipients_ : plain_recipients_; }
    bool recipients_cut() const { return recipients_cut_; } // such a field was too long to be taken whole

private:
    std::string advance(bool last);
    bool skip_mailbox_lines(bool last);
    size_t find_end_of_lines(bool last);
    std::string pass(std::string_view text, bool last);
    std::string scan_header();
    void note_field(std::string_view name, std::string_view body, bool is_cut);

    const bool dot_ends_;
    bool in_header_;            // -t, and the header has not ended
    bool at_begin_ = true;      // mbox lines may come
    bool at_line_start_ = true; // of what is pending
    bool ended_ = false;
    bool dropping_ = false;
    std::string pending_;
    queue::HeaderScanner scanner_;
    bool resent_ = false;
    bool recipients_cut_ = false;
    std::vector<std::string> plain_recipients_, resent_recipients_;
};

} // namespace posthouse::tools
