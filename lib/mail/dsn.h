// Delivery status notifications: bounces, delay warnings, success reports (RFC 3462, 3464, 3834, 6533).
// Pure: facts in, message content out (CRLF lines). Texts of strangers are made harmless here.
#pragma once

#include "lib/mail/envelope.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::mail {

enum class ReportKind : uint8_t { Failure, Delay, Success };

struct ReportRecipient {
    ReportRecipient() = default;
    std::string address;    // final recipient
    std::string orcpt;      // "rfc822;user@example.com", may be empty
    std::string original;   // as RCPT TO gave it; used when orcpt is empty and it differs
    std::string action;     // "failed", "delayed", "delivered", "relayed", "expanded"
    std::string status;     // "5.1.1"
    std::string text;       // for the person: "host mx[192.0.2.1] said: 550 ..."
    std::string remote_mta; // "dns; mx.example.com", may be empty
    std::string diagnostic; // "smtp; 550 5.1.1 ...", may be empty
};

struct Report {
    Report() = default;
    ReportKind kind = ReportKind::Failure;
    std::string hostname;   // myhostname: Reporting-MTA
    std::string mail_name = "Posthouse";
    std::string from;       // "MAILER-DAEMON@example.com"
    std::string to;         // the sender of the message, or the postmaster
    bool for_postmaster = false; // a copy to the postmaster, or a bounce of a bounce
    std::string message_id; // of the report, with angle brackets
    std::string queue_id;   // of the message reported on
    std::string sender;     // of that message: X-Posthouse-Sender
    std::string envid;
    int64_t arrival_us = 0;
    int64_t now_us = 0;
    int64_t expires_us = 0; // Delay: Will-Retry-Until
    Return ret = Return::Unspecified;
    bool requiretls = false; // that message may travel within TLS alone: so may what is shown of it
    bool redacted = false;   // nothing of it is shown
    bool smtputf8 = false;  // addresses or header of that message are UTF-8: message/global
    uint64_t content_limit = 50000; // bounce_size_limit
    // The begin of the message's content, at least content_limit bytes or all of it.
    std::string_view content;
    std::vector<ReportRecipient> recipients;
};

// Whole header and body. No Received: field, and nothing about envelope: the caller sends it from <>.
std::string build_report(const Report& report);

} // namespace posthouse::mail
