// Delivery status notifications: see dsn.h.
#include "lib/mail/dsn.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/mail/address_list.h"
#include "lib/mail/date.h"
#include "lib/mail/utf8.h"
#include "lib/mail/xtext.h"

namespace posthouse::mail {

namespace {

constexpr size_t longest_text = 2000; // of one text of a stranger
constexpr size_t fold_at = 900;       // bytes in a line, below RFC 5321's 998

struct KindText {
    std::string_view subject;
    std::string_view postmaster_subject;
    std::string_view description; // Content-Description of the first part
    std::string_view introduction;
};
constexpr KindText kind_texts[] = {
    {"Undelivered Mail Returned to Sender", "Postmaster Copy: Undelivered Mail", "Notification",
     "Your message could not be delivered to the recipients named below.\r\n"
     "This server has given up: they did not get it. The reason stands with\r\n"
     "each address. Please mention it when you ask for help, and write to\r\n"
     "postmaster here if this should be a mistake of ours.\r\n"},
    {"Delayed Mail (still being retried)", "Postmaster Warning: Delayed Mail", "Notification",
     "THIS IS A WARNING ONLY. YOU NEED NOT SEND YOUR MESSAGE AGAIN.\r\n\r\n"
     "Your message could not yet be delivered to the recipients named below.\r\n"
     "This server keeps trying. You will hear again if it has to give up.\r\n"},
    {"Successful Mail Delivery Report", "Postmaster Copy: Delivered Mail", "Notification",
     "As you have asked for: your message has reached, or was passed on for,\r\n"
     "the recipients named below.\r\n"},
};

const KindText& text_for(ReportKind kind) { return kind_texts[static_cast<size_t>(kind)]; }

std::string with_valid_utf8(std::string_view text)
{
    std::string out;
    while (!text.empty()) {
        std::string_view rest = text;
        if (take_utf8(rest)) {
            out.append(text.substr(0, text.size() - rest.size()));
            text = rest;
        } else {
            out.push_back('?');
            text.remove_prefix(1);
        }
    }
    return out;
}

// Text of a stranger in one line: no controls, bounded; ASCII unless `utf8`.
std::string harmless(std::string_view text, bool utf8)
{
    std::string out = utf8 ? with_valid_utf8(text.substr(0, longest_text)) : std::string(text.substr(0, longest_text));
    for (char& c : out)
        if (ascii::is_control(c) || (ascii::is_8bit(c) && !utf8))
            c = ascii::is_space(c) ? ' ' : '?';
    return out;
}

// "name: body" folded at blanks.
void append_field(std::string& out, std::string_view name, std::string_view body)
{
    append_to(out, name, ": ");
    size_t room = fold_at - std::min(fold_at - 100, name.size() + 2);
    while (body.size() > room) {
        size_t cut = body.rfind(' ', room);
        if (cut == std::string_view::npos || cut == 0)
            cut = room;
        append_to(out, body.substr(0, cut), "\r\n ");
        body.remove_prefix(cut);
        while (body.starts_with(' '))
            body.remove_prefix(1);
        room = fold_at;
    }
    append_to(out, body, "\r\n");
}

// "rfc822; user@example.com" or "utf-8; ...": RFC 6533 section 3.
std::string typed_address(std::string_view address, bool utf8)
{
    if (ascii::all_7bit(address))
        return cat("rfc822; ", harmless(address, utf8));
    const std::string encoded = encode_orcpt(cat("utf-8;", address), utf8);
    return cat("utf-8; ", std::string_view(encoded).substr(6));
}

std::string typed_orcpt(std::string_view orcpt, bool utf8)
{
    const size_t semicolon = orcpt.find(';');
    const std::string_view type = orcpt.substr(0, semicolon);
    const std::string_view address = orcpt.substr(semicolon + 1);
    if (ascii::equal(type, "rfc822") || ascii::equal(type, "utf-8"))
        return typed_address(address, utf8);
    return cat(harmless(type, utf8), "; ", harmless(address, utf8));
}

std::string boundary_for(const Report& report)
{
    std::string boundary = cat(report.queue_id, '.', report.now_us, '/', report.hostname);
    if (boundary.size() > 60)
        boundary.resize(60);
    while (report.content.find(boundary) != std::string_view::npos)
        boundary.push_back('_');
    return boundary;
}

void append_header(std::string& out, const Report& report, std::string_view boundary)
{
    const KindText& texts = text_for(report.kind);
    append_field(out, "Date", format_date(report.now_us));
    append_field(out, "From", cat(quote_phrase("Mail Delivery System"), " <", report.from, '>'));
    append_field(out, "Subject", report.for_postmaster ? texts.postmaster_subject : texts.subject);
    append_field(out, "To", harmless(report.to, report.smtputf8));
    append_field(out, "Auto-Submitted", "auto-replied");
    append_field(out, "Message-Id", report.message_id);
    append_field(out, "MIME-Version", "1.0");
    append_to(out, "Content-Type: multipart/report; report-type=",
              report.smtputf8 ? "global-delivery-status" : "delivery-status", ";\r\n\tboundary=\"", boundary,
              "\"\r\n");
    if (report.smtputf8 || !ascii::all_7bit(report.content))
        append_field(out, "Content-Transfer-Encoding", "8bit");
    append_to(out, "\r\nThis is a MIME-encapsulated message.\r\n");
}

void append_part(std::string& out, std::string_view boundary, std::string_view description, std::string_view type,
                 bool is_8bit)
{
    append_to(out, "\r\n--", boundary, "\r\nContent-Description: ", description, "\r\nContent-Type: ", type, "\r\n");
    if (is_8bit)
        append_to(out, "Content-Transfer-Encoding: 8bit\r\n");
    append_to(out, "\r\n");
}

void append_notification(std::string& out, const Report& report, std::string_view boundary)
{
    append_part(out, boundary, text_for(report.kind).description,
                report.smtputf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", report.smtputf8);
    append_to(out, "This is the mail system at host ", report.hostname, ".\r\n\r\n",
              text_for(report.kind).introduction);
    if (report.kind == ReportKind::Delay && report.expires_us > 0)
        append_to(out, "It gives up on ", format_date(report.expires_us), ".\r\n");
    if (report.redacted)
        append_to(out, "The message itself is not shown here: its sender has asked for TLS on all of its way.\r\n");
    append_to(out, "\r\n                   The mail system (", report.mail_name, ")\r\n");
    for (const ReportRecipient& recipient : report.recipients) {
        std::string line = cat('<', harmless(recipient.address, report.smtputf8), '>');
        if (!recipient.original.empty() && recipient.original != recipient.address)
            append_to(line, " (expanded from <", harmless(recipient.original, report.smtputf8), ">)");
        append_to(out, "\r\n");
        append_field(out, line, harmless(recipient.text, report.smtputf8));
    }
}

void append_recipient_status(std::string& out, const Report& report, const ReportRecipient& recipient)
{
    const bool utf8 = report.smtputf8;
    append_to(out, "\r\n");
    append_field(out, "Final-Recipient", typed_address(recipient.address, utf8));
    if (!recipient.orcpt.empty())
        append_field(out, "Original-Recipient", typed_orcpt(recipient.orcpt, utf8));
    else if (!recipient.original.empty() && recipient.original != recipient.address)
        append_field(out, "Original-Recipient", typed_address(recipient.original, utf8));
    append_field(out, "Action", recipient.action);
    append_field(out, "Status", harmless(recipient.status, false));
    if (!recipient.remote_mta.empty())
        append_field(out, "Remote-MTA", harmless(recipient.remote_mta, utf8));
    if (!recipient.diagnostic.empty())
        append_field(out, "Diagnostic-Code", harmless(recipient.diagnostic, utf8));
    if (report.kind == ReportKind::Delay && report.expires_us > 0)
        append_field(out, "Will-Retry-Until", format_date(report.expires_us));
}

void append_status(std::string& out, const Report& report, std::string_view boundary)
{
    append_part(out, boundary, "Delivery report",
                report.smtputf8 ? "message/global-delivery-status" : "message/delivery-status", report.smtputf8);
    append_field(out, "Reporting-MTA", cat("dns; ", report.hostname));
    if (!report.envid.empty())
        append_field(out, "Original-Envelope-Id", harmless(report.envid, report.smtputf8));
    append_field(out, cat("X-", report.mail_name, "-Queue-ID"), report.queue_id);
    if (!report.sender.empty())
        append_field(out, cat("X-", report.mail_name, "-Sender"), typed_address(report.sender, report.smtputf8));
    append_field(out, "Arrival-Date", format_date(report.arrival_us));
    for (const ReportRecipient& recipient : report.recipients)
        append_recipient_status(out, report, recipient);
}

// The header without the empty line that ends it.
std::string_view header_of(std::string_view content)
{
    if (content.starts_with("\r\n"))
        return std::string_view();
    const size_t end = content.find("\r\n\r\n");
    return end == std::string_view::npos ? content : content.substr(0, end + 2);
}

// At most `limit` bytes, whole lines.
std::string_view cut_lines(std::string_view content, uint64_t limit)
{
    if (content.size() <= limit)
        return content;
    content = content.substr(0, limit);
    return content.substr(0, content.rfind('\n') + 1);
}

void append_original(std::string& out, const Report& report, std::string_view boundary)
{
    const bool headers_only = report.ret == Return::Headers || report.kind != ReportKind::Failure;
    const std::string_view whole = headers_only ? header_of(report.content) : report.content;
    const std::string_view shown = cut_lines(whole, report.content_limit);
    const bool is_8bit = !ascii::all_7bit(shown);
    if (headers_only)
        append_part(out, boundary, report.kind == ReportKind::Success ? "Message Headers" : "Undelivered Message Headers",
                    report.smtputf8 ? "message/global-headers" : "text/rfc822-headers", is_8bit);
    else
        append_part(out, boundary, "Undelivered Message", report.smtputf8 ? "message/global" : "message/rfc822",
                    is_8bit);
    append_to(out, shown);
    if (!shown.empty() && !shown.ends_with("\r\n"))
        append_to(out, "\r\n");
}

} // namespace

std::string build_report(const Report& report)
{
    std::string out;
    out.reserve(4096 + std::min<size_t>(report.content.size(), report.content_limit));
    const std::string boundary = boundary_for(report);
    append_header(out, report, boundary);
    append_notification(out, report, boundary);
    append_status(out, report, boundary);
    if (!report.redacted)
        append_original(out, report, boundary);
    append_to(out, "\r\n--", boundary, "--\r\n");
    return out;
}

} // namespace posthouse::mail
