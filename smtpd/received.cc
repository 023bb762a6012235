// The Received: header: see received.h.
#include "smtpd/received.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/mail/date.h"

namespace posthouse::smtpd {

namespace {

// What ends a comment early, or is not for a header, becomes a question mark (RFC 5322 section 3.2.2).
std::string as_comment(std::string_view text)
{
    std::string comment(text);
    for (char& c : comment)
        if (ascii::is_control(c) || ascii::is_8bit(c) || c == '(' || c == ')' || c == '\\')
            c = '?';
    return comment;
}

} // namespace

std::string received_header(const ReceivedFacts& facts)
{
    std::string text = "Received: ";
    if (!facts.hide_client)
        append_to(text, "from ", facts.helo.empty() ? facts.client_name : facts.helo, " (", facts.client_name, " [",
                  facts.client_literal, "])\r\n\t");
    if (!facts.tls.empty())
        append_to(text, "(using ", facts.tls, ")\r\n\t(", facts.tls_client, ")\r\n\t");
    if (!facts.user.empty() && !facts.hide_client)
        append_to(text, "(Authenticated sender: ", as_comment(facts.user), ")\r\n\t");
    // RFC 6531 section 4.3: UTF8SMTP in place of ESMTP, for which the E need not be said. RFC 3848: an S for TLS, an A for
    // a login.
    const bool lmtp = facts.protocol == "LMTP";
    const bool extended = facts.smtputf8 || lmtp || facts.protocol == "ESMTP";
    const std::string_view protocol = !facts.smtputf8 ? facts.protocol : lmtp ? "UTF8LMTP" : "UTF8SMTP";
    append_to(text, "by ", facts.hostname, " (", facts.mail_name, ") with ", protocol,
              facts.encrypted && extended ? "S" : "", facts.authenticated && extended ? "A" : "");
    if (!facts.queue_id.empty())
        append_to(text, " id ", facts.queue_id);
    text.append("\r\n\t");
    if (!facts.only_recipient.empty())
        append_to(text, "for <", facts.only_recipient, ">");
    append_to(text, "; ", mail::format_date(facts.arrival_us), "\r\n");
    return text;
}

} // namespace posthouse::smtpd
