// The sendmail command line, as cron, mailx, git, PHP and thirty years of scripts write it. Pure. What
// is not known is swallowed, not refused: a mail that is not sent is worse than an option that is ignored.
#pragma once

#include "lib/base/result.h"
#include "lib/mail/envelope.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::tools {

enum class SendmailMode : unsigned char {
    Enqueue,   // the usual: a message on standard input
    Smtp,      // -bs: SMTP on standard input
    ListQueue, // -bp, or called mailq
    Aliases,   // -bi, -I, or called newaliases
    Daemon,    // -bd
    FlushAll,  // -q
    FlushSite, // -qRsite
    FlushId,   // -qIid
};

class SendmailOptions {
public:
    SendmailOptions() = default;

    SendmailMode mode = SendmailMode::Enqueue;
    std::string config; // -C: directory of main.cf, or main.cf itself
    std::optional<std::string> sender; // -f, -r; "" is the null sender
    std::string full_name;
    bool recipients_from_header = false; // -t
    bool dot_ends = true;                // not -i
    bool gateway = false;                // -G
    bool smtputf8 = false;               // -U
    bool body_8bit = false;
    uint8_t notify = mail::NotifyDefault;
    mail::Return ret = mail::Return::Unspecified;
    std::string envid;
    uint8_t trace = mail::TraceNone; // -bv, -v
    std::string flush_argument;
    std::vector<std::string> recipients;
    std::vector<std::string> warnings; // bad values that are ignored
};

// An Error is a usage error: EX_USAGE.
Result<SendmailOptions> parse_sendmail_options(const std::vector<std::string>& arguments);

} // namespace posthouse::tools
