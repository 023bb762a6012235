// Notifications.
#include "lib/mail/dsn.h"
#include "t/support/catch.h"

using namespace posthouse;
using namespace posthouse::mail;

namespace {

Report sample()
{
    Report report;
    report.hostname = "mx.example.com";
    report.from = "MAILER-DAEMON@example.com";
    report.to = "sender@example.org";
    report.message_id = "<20261122033801.4Wxyz@mx.example.com>";
    report.queue_id = "4Wxyz";
    report.sender = "sender@example.org";
    report.envid = "QQ314";
    report.arrival_us = 1795318681000000;
    report.now_us = 1795318691000000;
    report.content = "Subject: test\r\nFrom: sender@example.org\r\n\r\nbody line 1\r\nbody line 2\r\n";
    ReportRecipient recipient;
    recipient.address = "user@example.net";
    recipient.orcpt = "rfc822;alias@example.net";
    recipient.action = "failed";
    recipient.status = "5.1.1";
    recipient.text = "host mx.example.net[192.0.2.1] said: 550 5.1.1 no such user (in reply to RCPT TO command)";
    recipient.remote_mta = "dns; mx.example.net";
    recipient.diagnostic = "smtp; 550 5.1.1 no such user";
    report.recipients.push_back(recipient);
    return report;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

// The body of the part with this number, from 0.
std::string part_of(const std::string& text, int number)
{
    const size_t quote = text.find("boundary=\"") + 10;
    const std::string boundary = "\r\n--" + text.substr(quote, text.find('"', quote) - quote);
    size_t begin = 0;
    for (int i = 0; i <= number; ++i)
        begin = text.find(boundary, begin + 1);
    const size_t body = text.find("\r\n\r\n", begin) + 4;
    return text.substr(body, text.find(boundary, body) - body);
}

} // namespace

TEST_CASE("a bounce is a multipart/report with all the fields of RFC 3464")
{
    const std::string text = build_report(sample());
    for (std::string_view part :
         {"Content-Type: multipart/report; report-type=delivery-status;", "Auto-Submitted: auto-replied\r\n", "MIME-Version: 1.0\r\n",
          "Subject: Undelivered Mail Returned to Sender\r\n", "Reporting-MTA: dns; mx.example.com\r\n", "Original-Envelope-Id: QQ314\r\n",
          "Arrival-Date: ", "Final-Recipient: rfc822; user@example.net\r\n", "Original-Recipient: rfc822; alias@example.net\r\n",
          "Action: failed\r\n", "Status: 5.1.1\r\n", "Remote-MTA: dns; mx.example.net\r\n", "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n",
          "Content-Type: message/rfc822\r\n", "Content-Type: message/delivery-status\r\n", "To: sender@example.org\r\n"})
        CHECK(contains(text, part));
    CHECK(part_of(text, 2) == std::string(sample().content).substr(0, sample().content.size()));
    for (size_t i = 0; i < text.size(); ++i)
        if (text[i] == '\n')
            CHECK((i > 0 && text[i - 1] == '\r'));
}

TEST_CASE("RET=HDRS returns the header alone, as delay warnings and success reports do")
{
    Report report = sample();
    report.ret = Return::Headers;
    CHECK(contains(build_report(report), "Content-Type: text/rfc822-headers\r\n"));
    CHECK(part_of(build_report(report), 2) == "Subject: test\r\nFrom: sender@example.org\r\n");
    report = sample();
    report.kind = ReportKind::Delay;
    report.expires_us = 1795728681000000;
    report.recipients[0].action = "delayed";
    CHECK_FALSE(contains(build_report(report), "body line"));
    CHECK(contains(build_report(report), "Will-Retry-Until: "));
    report.kind = ReportKind::Success;
    report.recipients[0].action = "relayed";
    CHECK(contains(build_report(report), "Action: relayed\r\n"));
    CHECK(contains(build_report(report), "Content-Description: Message Headers\r\n"));
    CHECK_FALSE(contains(build_report(report), "body line"));
}

TEST_CASE("a redacted report says what became of the message and shows nothing of it")
{
    Report report = sample();
    report.redacted = true;
    const std::string text = build_report(report);
    CHECK(contains(text, "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"));
    CHECK(contains(text, "The message itself is not shown here"));
    CHECK_FALSE(contains(text, "Subject: test"));
    CHECK_FALSE(contains(text, "body line 1"));
    CHECK_FALSE(contains(text, "message/rfc822"));
    CHECK(text.ends_with("--\r\n"));
}

TEST_CASE("returned content is cut at bounce_size_limit, at the end of a line")
{
    Report report = sample();
    report.content_limit = report.content.size() - 3;
    CHECK(contains(build_report(report), "body line 1\r\n"));
    CHECK_FALSE(contains(build_report(report), "body line 2"));
    report.content_limit = 0;
    CHECK_FALSE(contains(build_report(report), "Subject: test"));
}

TEST_CASE("what strangers said cannot break out of its field")
{
    Report report = sample();
    report.recipients[0].diagnostic = "smtp; 550 a\r\nAction: delivered\r\n\r\nx";
    report.recipients[0].text = "said: \r\n\r\n--boundary\xff";
    const std::string text = build_report(report);
    CHECK_FALSE(contains(text, "\r\nAction: delivered"));
    CHECK_FALSE(contains(text, "\r\n--boundary"));
    CHECK_FALSE(contains(text, "\xff"));
}

TEST_CASE("no line of a report is longer than 998 bytes, whatever a host said")
{
    Report report = sample();
    report.recipients[0].diagnostic = "smtp; 550 " + std::string(1900, 'x');
    report.recipients[0].text = std::string(900, 'y') + ' ' + std::string(1000, 'z');
    const std::string text = build_report(report);
    for (size_t begin = 0, end; (end = text.find("\r\n", begin)) != std::string::npos; begin = end + 2)
        CHECK(end - begin <= 998);
}

TEST_CASE("the boundary does not occur in what is returned")
{
    Report report = sample();
    const std::string first = build_report(report);
    const size_t quote = first.find("boundary=\"") + 10;
    const std::string boundary = first.substr(quote, first.find('"', quote) - quote);
    const std::string hostile = "Subject: x\r\n\r\n--" + boundary + "--\r\n";
    report.content = hostile;
    CHECK(contains(build_report(report), "boundary=\"" + boundary + "_\""));
}

TEST_CASE("a message that needed SMTPUTF8 is reported with the message/global forms")
{
    Report report = sample();
    report.smtputf8 = true;
    report.recipients[0].address = "\xc3\xa4@example.net";
    const std::string text = build_report(report);
    CHECK(contains(text, "report-type=global-delivery-status"));
    CHECK(contains(text, "Content-Type: message/global-delivery-status\r\n"));
    CHECK(contains(text, "Content-Type: message/global\r\n"));
    CHECK(contains(text, "Final-Recipient: utf-8; \xc3\xa4@example.net\r\n"));
    report.smtputf8 = false;
    CHECK(contains(build_report(report), "Final-Recipient: utf-8; \\x{E4}@example.net\r\n"));
}

TEST_CASE("what a host said in malformed UTF-8 is made well-formed in a report that is UTF-8")
{
    Report report = sample();
    report.smtputf8 = true;
    report.recipients[0].text = report.recipients[0].diagnostic = "550 \xc3\xa4 \xff\xc3 gone\xe2\x82";
    const std::string text = build_report(report);
    CHECK(contains(text, "Diagnostic-Code: 550 \xc3\xa4 ?? gone??\r\n"));
    CHECK_FALSE(contains(text, "\xff"));
    CHECK_FALSE(contains(text, "\xe2"));
}

TEST_CASE("an 8-bit original is declared as such")
{
    Report report = sample();
    report.content = "Subject: x\r\n\r\n\xe4\r\n";
    const std::string text = build_report(report);
    CHECK(contains(text.substr(0, text.find("\r\n\r\n") + 4), "Content-Transfer-Encoding: 8bit\r\n"));
}
