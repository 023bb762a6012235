// The dialogue: what each command answers, and what is left of a mail in the queue.
#include "lib/base/cat.h"
#include "t/support/catch.h"
#include "t/unit/smtpd/session_fixture.h"

using namespace posthouse;
using namespace posthouse::test;

namespace {

const std::string ehlo = "EHLO client.example\r\n";
const std::string mail_from = "MAIL FROM:<you@example.net>\r\n";
const std::string rcpt_to = "RCPT TO:<friend@example.org>\r\n";
const std::string message = "Subject: x\r\n\r\nbody\r\n.\r\n";

bool has(std::string_view text, std::string_view part)
{
    return text.find(part) != std::string_view::npos;
}

std::string reply_to(SmtpdFixture& smtpd, std::vector<std::string> before, const std::string& command)
{
    const std::string base = smtpd.talk(before);
    before.push_back(command);
    return smtpd.talk(before).substr(base.size());
}

} // namespace

TEST_CASE("a message is taken with its envelope, and 250 names the queue id")
{
    for (const size_t piece : {SIZE_MAX, size_t(1)}) {
        SmtpdFixture smtpd;
        const std::string output = smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message, "QUIT\r\n"}, piece);
        CHECK(has(output, "220 mx.example.org ESMTP Posthouse\r\n"));
        CHECK(has(output, "354 End data with <CR><LF>.<CR><LF>\r\n250 2.0.0 Ok: queued as QUEUEID1\r\n221 2.0.0 Bye\r\n"));
        REQUIRE(smtpd.queue.stored.size() == 1);
        const mail::Envelope& envelope = smtpd.queue.stored[0].envelope;
        CHECK(envelope.sender == "you@example.net");
        REQUIRE(envelope.recipients.size() == 1);
        CHECK(envelope.recipients[0].address == "friend@example.org");
        CHECK(envelope.client_address == "198.51.100.7");
        CHECK(envelope.client_name == "unknown");
        CHECK(envelope.helo == "client.example");
        CHECK(envelope.protocol == "ESMTP");
        CHECK(envelope.rewrite_context == "remote");
    }
}

TEST_CASE("EHLO offers what the server can do")
{
    SmtpdFixture smtpd;
    const std::string output = smtpd.talk({ehlo});
    for (const char* keyword : {"250-mx.example.org\r\n", "250-PIPELINING\r\n", "250-SIZE 10240000\r\n", "250-VRFY\r\n",
                                "250-ENHANCEDSTATUSCODES\r\n", "250-8BITMIME\r\n", "250-DSN\r\n", "250-SMTPUTF8\r\n",
                                "250 CHUNKING\r\n"})
        CHECK(has(output, keyword));
    CHECK_FALSE(has(output, "XCLIENT"));
    CHECK_FALSE(has(output, "STARTTLS"));
    CHECK_FALSE(has(output, "AUTH"));
}

TEST_CASE("discarded EHLO keywords are not offered, for all or by client address")
{
    SmtpdFixture all("smtpd_discard_ehlo_keywords = chunking, dsn silent-discard\n");
    CHECK_FALSE(has(all.talk({ehlo}), "CHUNKING"));
    CHECK_FALSE(has(all.talk({ehlo}), "DSN"));
    CHECK(codes(all.talk({ehlo, mail_from, rcpt_to, "BDAT 6 LAST\r\nRSET\r\n", "NOOP\r\n"})) == "220 250 250 250 502 250");
    CHECK(has(all.talk({ehlo, "MAIL FROM:<you@example.net> RET=FULL\r\n"}), "555 5.5.4"));
    SmtpdFixture one("smtpd_discard_ehlo_keyword_address_maps = inline:{ {198.51.100.7=pipelining, size} }\n");
    CHECK_FALSE(has(one.talk({ehlo}), "PIPELINING"));
    one.client_address = "198.51.100.8";
    CHECK(has(one.talk({ehlo}), "PIPELINING"));
}

TEST_CASE("commands out of order are refused with 503")
{
    SmtpdFixture smtpd;
    CHECK(has(smtpd.talk({ehlo, rcpt_to}), "503 5.5.1 Error: need MAIL command\r\n"));
    CHECK(has(smtpd.talk({ehlo, "DATA\r\n"}), "503 5.5.1 Error: need RCPT command\r\n"));
    CHECK(has(smtpd.talk({ehlo, mail_from, mail_from}), "503 5.5.1 Error: nested MAIL command\r\n"));
    CHECK(has(smtpd.talk({ehlo, mail_from, "DATA\r\n"}), "554 5.5.1 Error: no valid recipients\r\n"));
    CHECK(has(smtpd.talk({ehlo, "BDAT 0 LAST\r\n"}), "503 5.5.1 Error: need RCPT command\r\n"));
}

TEST_CASE("smtpd_helo_required asks for HELO before MAIL")
{
    SmtpdFixture strict("smtpd_helo_required = yes\n");
    CHECK(has(strict.talk({mail_from}), "503 5.5.1 Error: send HELO/EHLO first\r\n"));
    SmtpdFixture smtpd;
    CHECK(codes(smtpd.talk({mail_from})) == "220 250");
}

TEST_CASE("what is not configured says so: STARTTLS 502, ETRN 459, AUTH 503; what is no command, 502")
{
    SmtpdFixture smtpd;
    CHECK(codes(smtpd.talk({ehlo, "STARTTLS\r\n", "ETRN example.org\r\n", "AUTH PLAIN AGEAYg==\r\n"})) == "220 250 502 459 503");
    CHECK(has(smtpd.talk({ehlo, "FOO bar\r\n"}), "502 5.5.2 Error: command not recognized\r\n"));
    CHECK(has(smtpd.talk({ehlo, "EXPN staff\r\n"}), "502 5.5.2"));
}

TEST_CASE("content after BDAT never becomes a command because smtpd_command_filter fails")
{
    SmtpdFixture smtpd("smtpd_command_filter = fail:now\nsmtpd_forbid_unauth_pipelining = no\n");
    CHECK(codes(smtpd.talk({"BDAT 6 LAST\r\nNOOP\r\n", ehlo})) == "220 503 451");
}

TEST_CASE("VRFY gives the answer that RCPT would give, and can be turned off")
{
    SmtpdFixture smtpd;
    CHECK(has(smtpd.talk({ehlo, "VRFY friend@example.org\r\n"}), "252 2.0.0 friend@example.org\r\n"));
    CHECK(has(smtpd.talk({ehlo, "VRFY nobody@example.org\r\n"}), "550 5.1.1 <nobody@example.org>: Recipient address rejected: User unknown"));
    CHECK(has(smtpd.talk({ehlo, "VRFY friend@far.example\r\n"}), "454 4.7.1 <friend@far.example>: Relay access denied"));
    SmtpdFixture counted("smtpd_client_recipient_rate_limit = 1\nsmtpd_client_event_limit_exceptions =\n");
    CHECK(codes(counted.talk({ehlo, "VRFY friend\r\n", "VRFY friend\r\n"})) == "220 250 252 450");
    CHECK(has(smtpd.talk({ehlo, "VRFY\r\n"}), "501 5.5.4 Syntax: VRFY address\r\n"));
    SmtpdFixture off("disable_vrfy_command = yes\n");
    CHECK(has(off.talk({ehlo, "VRFY friend@example.org\r\n"}), "502 5.5.1"));
    CHECK_FALSE(has(off.talk({ehlo}), "VRFY"));
}

TEST_CASE("verbs are read without regard to case, NOOP and RSET and HELP answer")
{
    SmtpdFixture smtpd;
    CHECK(codes(smtpd.talk({"eHlO x\r\n", "noop foo\r\n", "rset\r\n", "help\r\n", "RSET now\r\n", "qUiT\r\n"}))
          == "220 250 250 250 214 501 221");
}

TEST_CASE("HTTP and headers in place of commands end the session")
{
    for (const char* line : {"GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n", "CONNECT x:25 HTTP/1.0\r\n", "Host: x\r\n",
                             "Subject: lost\r\n", "\x16\x03\x01\r\n"}) {
        SmtpdFixture smtpd;
        CHECK(codes(smtpd.talk({line, mail_from})) == "220 221");
    }
}

TEST_CASE("an over-long command is refused as one command, and its tail is not executed")
{
    SmtpdFixture smtpd;
    const std::string tail(3000, 'x');
    CHECK(codes(smtpd.talk({ehlo, "NOOP " + tail + " RSET\r\n", "QUIT\r\n"})) == "220 250 500 221");
    CHECK(codes(smtpd.talk({ehlo, "NOOP " + tail + "\r\n", mail_from, rcpt_to}, 1)) == "220 250 500 250 250");
}

TEST_CASE("a line without end is given up after 64 KB with 500")
{
    SmtpdFixture smtpd;
    const std::string output = smtpd.talk({ehlo, std::string(1 << 20, 'x'), "QUIT\r\n"});
    CHECK(codes(output) == "220 250 500");
}

TEST_CASE("an empty line, NUL and broken UTF-8 are bad syntax")
{
    SmtpdFixture smtpd;
    CHECK(codes(smtpd.talk({ehlo, "\r\n", std::string("NOOP \0\r\n", 8), "NOOP \xe2\x82\r\n", "NOOP \xe2\x82\xac\r\n"}))
          == "220 250 500 500 500 250");
}

TEST_CASE("a client that sends ahead where it may not is disconnected with 554")
{
    SmtpdFixture smtpd;
    CHECK(codes(smtpd.talk({ehlo + mail_from})) == "220 554");
    CHECK(codes(smtpd.talk({"HELO client.example\r\n", mail_from + rcpt_to})) == "220 250 554");
    CHECK(codes(smtpd.talk({ehlo, mail_from + rcpt_to + "DATA\r\n" + message})) == "220 250 250 250 554");
    CHECK(codes(smtpd.talk({ehlo, "NOOP\r\nQUIT\r\n"})) == "220 250 554");
    CHECK(smtpd.queue.stored.empty());
    SmtpdFixture lenient("smtpd_forbid_unauth_pipelining = no\n");
    CHECK(codes(lenient.talk({ehlo + mail_from + rcpt_to + "DATA\r\n" + message})) == "220 250 250 250 354 250");
}

TEST_CASE("an ESMTP client may send MAIL, RCPT and DATA together, and the next mail behind the dot")
{
    SmtpdFixture smtpd;
    CHECK(codes(smtpd.talk({ehlo, mail_from + rcpt_to + "DATA\r\n", message + mail_from + rcpt_to + "DATA\r\n", message + "QUIT\r\n"}))
          == "220 250 250 250 354 250 250 250 354 250 221");
    CHECK(smtpd.queue.stored.size() == 2);
}

TEST_CASE("SIZE above the limit is refused at MAIL with 552, the real size at the end of the content")
{
    SmtpdFixture smtpd("message_size_limit = 2000\n");
    CHECK(has(smtpd.talk({ehlo, "MAIL FROM:<you@example.net> SIZE=2001\r\n"}), "552 5.3.4 Message size exceeds fixed limit\r\n"));
    CHECK(codes(smtpd.talk({ehlo, "MAIL FROM:<you@example.net> SIZE=2000\r\n"})) == "220 250 250");
    CHECK(has(smtpd.talk({ehlo, "MAIL FROM:<you@example.net> SIZE=99999999999999999999\r\n"}), "552 5.3.4"));
    CHECK(has(smtpd.talk({ehlo, "MAIL FROM:<you@example.net> SIZE=999999999999999999999\r\n"}), "501 5.5.4"));
    CHECK(has(smtpd.talk({ehlo, "MAIL FROM:<you@example.net> SIZE=-1\r\n"}), "501 5.5.4"));

    std::string large = "Subject: x\r\n\r\n";
    for (int line = 0; line < 40; ++line)
        large += std::string(70, 'x') + "\r\n";
    const std::string output =
        smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", large + ".\r\n", mail_from, rcpt_to, "DATA\r\n", message});
    CHECK(codes(output) == "220 250 250 250 354 552 250 250 354 250");
    CHECK(has(output, "552 5.3.4 Error: message file too big\r\n"));
    CHECK(smtpd.queue.stored.size() == 1);
    CHECK(smtpd.queue.dropped == 1);

    const std::string half = large.substr(0, large.size() / 2);
    const std::string chunk = "BDAT " + std::to_string(half.size());
    CHECK(codes(smtpd.talk({ehlo, mail_from, rcpt_to, chunk + "\r\n" + half, chunk + " LAST\r\n" + half}))
          == "220 250 250 250 250 552");
}

TEST_CASE("a full disk is said at MAIL with 452, and the session goes on")
{
    SmtpdFixture smtpd("message_size_limit = 1000000\nqueue_minfree = 0\n");
    uint64_t free_bytes = 1400000;
    smtpd.server->free_bytes = [&] { return free_bytes; };
    CHECK(has(smtpd.talk({ehlo, mail_from}), "452 4.3.1 Insufficient system storage\r\n"));
    free_bytes = 1600000;
    CHECK(codes(smtpd.talk({ehlo, mail_from})) == "220 250 250");
}

TEST_CASE("when the queue fails, at whatever point, the answer is 451 or 452 and the session stays usable")
{
    struct Case {
        std::optional<Error> MemoryQueue::*where;
        Error error;
        const char* expected;
    };
    const Case cases[] = {
        {&MemoryQueue::fail_begin, Error(ErrorKind::Temporary, "4.3.0", "no queue manager"), "451"},
        {&MemoryQueue::fail_begin, Error(ErrorKind::Temporary, "4.3.1", "disk full"), "452"},
        {&MemoryQueue::fail_append, Error(ErrorKind::Temporary, "4.3.0", "write error"), "354 451"},
        {&MemoryQueue::fail_append, Error(ErrorKind::Temporary, "4.3.1", "disk full"), "354 452"},
        {&MemoryQueue::fail_commit, Error(ErrorKind::Temporary, "4.3.0", "sync failed"), "354 451"},
    };
    for (const Case& row : cases) {
        SmtpdFixture smtpd;
        smtpd.queue.*row.where = row.error;
        const bool at_begin = row.where == &MemoryQueue::fail_begin;
        std::vector<std::string> chunks = {ehlo, mail_from, rcpt_to, "DATA\r\n"};
        if (!at_begin)
            chunks.push_back(message);
        chunks.push_back("RSET\r\n");
        CHECK(codes(smtpd.talk(chunks)) == std::string("220 250 250 250 ") + row.expected + " 250");
        CHECK(smtpd.queue.stored.empty());
        (smtpd.queue.*row.where).reset();
        CHECK(codes(smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message})) == "220 250 250 250 354 250");
    }
}

TEST_CASE("the Received header names client, server, protocol, id, and the recipient when there is one only")
{
    SmtpdFixture smtpd;
    smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message});
    REQUIRE(smtpd.queue.stored.size() == 1);
    CHECK(smtpd.queue.stored[0].content
          == "Received: from client.example (unknown [198.51.100.7])\r\n"
             "\tby mx.example.org (Posthouse) with ESMTP id QUEUEID1\r\n"
             "\tfor <friend@example.org>; Sun, 22 Nov 2026 03:38:01 +0000 (UTC)\r\n"
             "Subject: x\r\n\r\nbody\r\n");
    smtpd.talk({"HELO client.example\r\n", mail_from, rcpt_to, "RCPT TO:<postmaster>\r\n", "DATA\r\n", message});
    REQUIRE(smtpd.queue.stored.size() == 2);
    CHECK(has(smtpd.queue.stored[1].content, "with SMTP id QUEUEID2\r\n\t; Sun"));
    CHECK_FALSE(has(smtpd.queue.stored[1].content, "for <"));
    smtpd.talk({ehlo, "MAIL FROM:<you@example.net> SMTPUTF8\r\n", rcpt_to, "DATA\r\n", message});
    REQUIRE(smtpd.queue.stored.size() == 3);
    CHECK(has(smtpd.queue.stored[2].content, "with UTF8SMTP id"));
    CHECK(smtpd.queue.stored[2].envelope.smtputf8);
}

TEST_CASE("an IPv6 client is shown in an address literal")
{
    SmtpdFixture smtpd;
    smtpd.client_address = "2001:db8::7";
    smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message});
    REQUIRE(smtpd.queue.stored.size() == 1);
    CHECK(has(smtpd.queue.stored[0].content, "(unknown [IPv6:2001:db8::7])\r\n"));
}

TEST_CASE("a HELO name cannot put anything into the Received header but a word")
{
    SmtpdFixture smtpd;
    smtpd.talk({"EHLO a(b) <c@d>; \"e\" \\f\r\n", mail_from, rcpt_to, "DATA\r\n", message});
    REQUIRE(smtpd.queue.stored.size() == 1);
    CHECK(has(smtpd.queue.stored[0].content, "Received: from a?b???c?d????e???f (unknown"));
}

TEST_CASE("more Received headers than hopcount_limit are a loop: 554 5.4.0 or 5.4.6")
{
    SmtpdFixture smtpd("hopcount_limit = 5\n");
    std::string hops;
    for (int hop = 0; hop < 6; ++hop)
        hops += "Received: from a by b; Sun, 22 Nov 2026 03:38:01 +0000\r\n";
    CHECK(codes(smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", hops + message})) == "220 250 250 250 354 554");
    CHECK(smtpd.queue.stored.empty());
}

TEST_CASE("missing headers are added for our own clients only")
{
    SmtpdFixture smtpd("local_header_rewrite_clients = permit_mynetworks\n");
    smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message});
    smtpd.client_address = "192.0.2.1";
    smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message});
    REQUIRE(smtpd.queue.stored.size() == 2);
    CHECK_FALSE(has(smtpd.queue.stored[0].content, "Message-Id:"));
    CHECK(has(smtpd.queue.stored[1].content, "Message-Id:"));
    CHECK(has(smtpd.queue.stored[1].content, "Date:"));
    CHECK(has(smtpd.queue.stored[1].content, "From: you@example.net"));
}

TEST_CASE("DSN parameters are kept, decoded")
{
    SmtpdFixture smtpd;
    smtpd.talk({ehlo, "MAIL FROM:<you@example.net> RET=HDRS ENVID=a+3Db BODY=8BITMIME\r\n",
                "RCPT TO:<friend@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;frie+2Bnd@example.com\r\n", "DATA\r\n", message});
    REQUIRE(smtpd.queue.stored.size() == 1);
    const mail::Envelope& envelope = smtpd.queue.stored[0].envelope;
    CHECK(envelope.ret == mail::Return::Headers);
    CHECK(envelope.envid == "a=b");
    CHECK(envelope.body_8bit);
    REQUIRE(envelope.recipients.size() == 1);
    CHECK(envelope.recipients[0].orcpt == "rfc822;frie+nd@example.com");
    CHECK(envelope.recipients[0].notify == (mail::NotifySuccess | mail::NotifyDelay));
}

TEST_CASE("parameters that are unknown, contradict each other or come twice are refused")
{
    SmtpdFixture smtpd("smtpd_hard_error_limit = 1000\nsmtpd_soft_error_limit = 1000\n");
    for (const char* line :
         {"MAIL FROM:<a@example.net> RET=HDRS RET=FULL\r\n", "MAIL FROM:<a@example.net> RET=SOME\r\n",
          "MAIL FROM:<a@example.net> ENVID=a+00b\r\n", "MAIL FROM:<a@example.net> ENVID=+0A\r\n",
          "MAIL FROM:<a@example.net> ENVID=a+b\r\n", "MAIL FROM:<a@example.net> SMTPUTF8=yes\r\n",
          "MAIL FROM:<a@example.net> SIZE=x\r\n", "MAIL FROM:<a@example.net> AUTH=a+0Ab\r\n"}) {
        INFO(line);
        CHECK(has(reply_to(smtpd, {ehlo}, line), "501 5.5.4"));
    }
    for (const char* line : {"MAIL FROM:<a@example.net> FOO=bar\r\n", "MAIL FROM:<a@example.net> BODY=BINARYMIME\r\n"})
        CHECK(has(reply_to(smtpd, {ehlo}, line), "555 5.5.4"));
    for (const char* line :
         {"RCPT TO:<friend@example.org> NOTIFY=NEVER,SUCCESS\r\n", "RCPT TO:<friend@example.org> NOTIFY=\r\n",
          "RCPT TO:<friend@example.org> NOTIFY=MAYBE\r\n", "RCPT TO:<friend@example.org> ORCPT=rfc822;a+00b\r\n",
          "RCPT TO:<friend@example.org> ORCPT=x\r\n", "RCPT TO:<friend@example.org> ORCPT=rfc822;a ORCPT=rfc822;b\r\n"}) {
        INFO(line);
        CHECK(has(reply_to(smtpd, {ehlo, mail_from}, line), "501 5.5.4"));
    }
    CHECK(has(reply_to(smtpd, {ehlo, mail_from}, "RCPT TO:<friend@example.org> FOO=bar\r\n"), "555 5.5.4"));
}

TEST_CASE("UTF-8 addresses need SMTPUTF8 under strict_smtputf8")
{
    SmtpdFixture strict("strict_smtputf8 = yes\n");
    CHECK(has(strict.talk({ehlo, "MAIL FROM:<\xc3\xbc@example.net>\r\n"}), "553 5.6.7"));
    CHECK(codes(strict.talk({ehlo, "MAIL FROM:<\xc3\xbc@example.net> SMTPUTF8\r\n"})) == "220 250 250");
    CHECK(has(strict.talk({ehlo, mail_from, "RCPT TO:<\xc3\xbc@example.org>\r\n"}), "553 5.6.7"));
    SmtpdFixture smtpd;
    CHECK(codes(smtpd.talk({ehlo, "MAIL FROM:<\xc3\xbc@example.net>\r\n"})) == "220 250 250");
}

TEST_CASE("UTF-8 in a header that came without SMTPUTF8 makes the mail need it only when smtputf8_autodetect_classes says so")
{
    for (const bool detect : {false, true}) {
        SmtpdFixture smtpd(detect ? "smtputf8_autodetect_classes = all\n" : "");
        smtpd.talk({"EHLO client.example\r\n", "MAIL FROM:<you@example.net>\r\n", "RCPT TO:<friend@example.org>\r\n", "DATA\r\n",
                    "Subject: gr\xc3\xbc\xc3\x9f" "e\r\n\r\nbody\r\n.\r\n", "QUIT\r\n"});
        REQUIRE(smtpd.queue.stored.size() == 1);
        CHECK(smtpd.queue.stored[0].envelope.smtputf8 == detect);
    }
}

TEST_CASE("strict_rfc821_envelopes wants angle brackets")
{
    SmtpdFixture strict("strict_rfc821_envelopes = yes\n");
    CHECK(codes(strict.talk({ehlo, "MAIL FROM:you@example.net\r\n", "MAIL FROM:<you@example.net>\r\n"})) == "220 250 501 250");
    SmtpdFixture smtpd;
    CHECK(codes(smtpd.talk({ehlo, "MAIL FROM:you@example.net\r\n"})) == "220 250 250");
}

TEST_CASE("too many recipients get 452, and those before are kept")
{
    SmtpdFixture smtpd("smtpd_recipient_limit = 2\nsmtpd_recipient_overshoot_limit = 2\nsmtpd_hard_error_limit = 2\n");
    const std::string output = smtpd.talk({ehlo, mail_from, rcpt_to, "RCPT TO:<postmaster>\r\n", rcpt_to, rcpt_to, "DATA\r\n", message});
    CHECK(codes(output) == "220 250 250 250 250 452 452 354 250");
    CHECK(has(output, "452 4.5.3 Error: too many recipients\r\n"));
    REQUIRE(smtpd.queue.stored.size() == 1);
    CHECK(smtpd.queue.stored[0].envelope.recipients.size() == 2);
    // Beyond the overshoot each one is an error.
    CHECK(codes(smtpd.talk({ehlo, mail_from, rcpt_to, rcpt_to, rcpt_to, rcpt_to, rcpt_to, rcpt_to}))
          == "220 250 250 250 250 452 452 452 452 421");
}

TEST_CASE("too many errors end the session with 421, too many junk commands are errors")
{
    SmtpdFixture smtpd("smtpd_hard_error_limit = 3\nsmtpd_junk_command_limit = 2\n");
    CHECK(codes(smtpd.talk({"A\r\n", "B\r\n", "C\r\n", "D\r\n"})) == "220 502 502 502 421");
    CHECK(codes(smtpd.talk({"NOOP\r\n", "RSET\r\n", "NOOP\r\n", "NOOP\r\n", "NOOP\r\n", "NOOP\r\n"}))
          == "220 250 250 250 250 250 421");
}

TEST_CASE("a client beyond smtpd_soft_error_limit waits for each reply")
{
    SmtpdFixture smtpd("smtpd_soft_error_limit = 2\nsmtpd_error_sleep_time = 1s\n");
    const Instant start = Instant::now();
    smtpd.talk({"A\r\n"});
    CHECK((Instant::now() - start).ms() < 900);
    smtpd.talk({"A\r\n", "B\r\n"});
    CHECK((Instant::now() - start).ms() >= 900);
}

TEST_CASE("more connections of a client than allowed get 421")
{
    SmtpdFixture smtpd("smtpd_client_connection_rate_limit = 2\n");
    CHECK(codes(smtpd.talk({ehlo})) == "220 250");
    CHECK(codes(smtpd.talk({ehlo})) == "220 250");
    CHECK(smtpd.talk({ehlo}) == "421 4.7.0 mx.example.org Error: too frequent connections from 198.51.100.7\r\n");
    smtpd.client_address = "192.0.2.1"; // mynetworks is excepted
    for (int round = 0; round < 5; ++round)
        CHECK(codes(smtpd.talk({ehlo})) == "220 250");
}

TEST_CASE("more messages or recipients in a time unit than allowed get 450")
{
    SmtpdFixture smtpd("smtpd_client_message_rate_limit = 1\nsmtpd_client_recipient_rate_limit = 3\n");
    CHECK(has(smtpd.talk({ehlo, mail_from, "RSET\r\n", mail_from}), "450 4.7.1 Error: too much mail from 198.51.100.7\r\n"));
    SmtpdFixture few("smtpd_client_recipient_rate_limit = 1\n");
    CHECK(has(few.talk({ehlo, mail_from, rcpt_to, rcpt_to}), "450 4.7.1 Error: too many recipients from 198.51.100.7\r\n"));
}

TEST_CASE("XCLIENT is for listed hosts, puts another client in place and greets again")
{
    SmtpdFixture smtpd("smtpd_authorized_xclient_hosts = 198.51.100.7\n");
    const std::string output =
        smtpd.talk({ehlo, "XCLIENT NAME=spike.example ADDR=192.0.2.99 PORT=99 PROTO=ESMTP HELO=he+3Dlo\r\n", ehlo, mail_from,
                    "RCPT TO:<u@far.example>\r\n", "DATA\r\n", message});
    CHECK(has(output, "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT REVERSE_NAME\r\n"));
    CHECK(codes(output) == "220 250 220 250 250 250 354 250");
    REQUIRE(smtpd.queue.stored.size() == 1);
    CHECK(smtpd.queue.stored[0].envelope.client_name == "spike.example");
    CHECK(smtpd.queue.stored[0].envelope.client_address == "192.0.2.99");
    smtpd.client_address = "198.51.100.8";
    CHECK(has(smtpd.talk({ehlo, "XCLIENT ADDR=192.0.2.99\r\n"}), "550 5.7.0 Error: insufficient authorization\r\n"));
}

TEST_CASE("XCLIENT with a bad value changes nothing")
{
    SmtpdFixture smtpd("smtpd_authorized_xclient_hosts = 198.51.100.0/24\n");
    for (const char* bad : {"ADDR=x", "NAME=a+20b", "PORT=70000", "PROTO=LMTPX", "FOO=bar", "ADDR", "HELO=a+0Ab", "ADDR=192.0.2.1 PORT=x"}) {
        const std::string output = smtpd.talk({ehlo, std::string("XCLIENT ") + bad + "\r\n", mail_from, "RCPT TO:<u@far.example>\r\n"});
        INFO(bad);
        CHECK(codes(output) == "220 250 501 250 454");
    }
    CHECK(codes(smtpd.talk({ehlo, mail_from, "XCLIENT ADDR=192.0.2.1\r\n"})) == "220 250 250 503");
    CHECK(codes(smtpd.talk({ehlo, "XCLIENT ADDR=IPV6:2001:db8::1 NAME=[UNAVAILABLE]\r\n"})) == "220 250 220");
}

TEST_CASE("XCLIENT with an address alone takes the old name away")
{
    SmtpdFixture smtpd("smtpd_authorized_xclient_hosts = 198.51.100.7\nmynetworks = trusted.example\n");
    CHECK(codes(smtpd.talk({ehlo, "XCLIENT NAME=trusted.example ADDR=192.0.2.1\r\n", mail_from, "RCPT TO:<u@far.example>\r\n", "RSET\r\n",
                            "XCLIENT ADDR=203.0.113.1\r\n", mail_from, "RCPT TO:<u@far.example>\r\n"}))
          == "220 250 220 250 250 250 220 250 454");
}

TEST_CASE("XCLIENT asks the client restrictions again, and what they said of the client before is forgotten")
{
    const std::string rules = "smtpd_authorized_xclient_hosts = 198.51.100.7\nsmtpd_authorized_xforward_hosts = 198.51.100.7\n"
                              "smtpd_delay_reject = no\nsmtpd_client_restrictions = check_client_access inline:"
                              "{{203.0.113.9 = REJECT}, {198.51.100.7 = HOLD}}\n";
    SmtpdFixture smtpd(rules);
    const std::string refused = smtpd.talk({ehlo, "XCLIENT ADDR=203.0.113.9\r\n", ehlo, mail_from, "QUIT\r\n"});
    CHECK(codes(refused) == "220 250 554 503 503 221");
    CHECK(codes(smtpd.talk({ehlo, "XFORWARD ADDR=203.0.113.9\r\n", mail_from, rcpt_to})) == "220 250 250 250 250");
    // The next client is not held for the sake of the one before.
    CHECK(codes(smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message, "XCLIENT ADDR=203.0.113.10\r\n", ehlo, mail_from,
                            rcpt_to, "DATA\r\n", message}))
          == "220 250 250 250 354 250 220 250 250 250 354 250");
    REQUIRE(smtpd.queue.stored.size() == 2);
    CHECK(smtpd.queue.stored[0].envelope.hold);
    CHECK_FALSE(smtpd.queue.stored[1].envelope.hold);
}

TEST_CASE("rates are those of the client that XCLIENT names, not of the host that names it")
{
    SmtpdFixture smtpd("smtpd_authorized_xclient_hosts = 198.51.100.7\nsmtpd_client_message_rate_limit = 1\n");
    const std::string one = "XCLIENT ADDR=203.0.113.1\r\n";
    const std::string other = "XCLIENT ADDR=203.0.113.2\r\n";
    const std::string output = smtpd.talk({ehlo, one, mail_from, "RSET\r\n", other, mail_from, "RSET\r\n", one, mail_from});
    CHECK(codes(output) == "220 250 220 250 250 220 250 250 220 450");
    CHECK(has(output, "450 4.7.1 Error: too much mail from 203.0.113.1\r\n"));
    CHECK(codes(smtpd.talk({ehlo, mail_from})) == "220 250 250"); // the host's own account is untouched
    CHECK(codes(smtpd.talk({ehlo, other, mail_from})) == "220 250 220 450");
}

TEST_CASE("an address that begins with a hyphen is refused, unless allow_min_user is set")
{
    for (const char* address : {"-f@example.net", "\"-f\"@example.net"}) {
        const std::string from = cat("MAIL FROM:<", address, ">\r\n");
        const std::string to = cat("RCPT TO:<", address, ">\r\n");
        SmtpdFixture smtpd("mynetworks = 198.51.100.7\n");
        CHECK(codes(smtpd.talk({ehlo, from, mail_from, to, rcpt_to})) == "220 250 501 250 501 250");
        SmtpdFixture lenient("mynetworks = 198.51.100.7\nallow_min_user = yes\n");
        CHECK(codes(lenient.talk({ehlo, from, to})) == "220 250 250 250");
    }
}

TEST_CASE("XFORWARD changes log and envelope, and no right")
{
    SmtpdFixture smtpd("smtpd_authorized_xforward_hosts = 198.51.100.7\n");
    const std::string output = smtpd.talk({ehlo, "XFORWARD NAME=spike.example ADDR=192.0.2.99\r\n", "XFORWARD HELO=spike PROTO=SMTP\r\n",
                                           mail_from, "RCPT TO:<u@far.example>\r\n", rcpt_to, "DATA\r\n", message, mail_from, rcpt_to,
                                           "DATA\r\n", message});
    CHECK(codes(output) == "220 250 250 250 250 454 250 354 250 250 250 354 250");
    REQUIRE(smtpd.queue.stored.size() == 2);
    CHECK(smtpd.queue.stored[0].envelope.client_name == "spike.example");
    CHECK(smtpd.queue.stored[0].envelope.helo == "spike");
    CHECK(has(smtpd.queue.stored[0].content, "from client.example (unknown [198.51.100.7])"));
    CHECK(smtpd.queue.stored[1].envelope.client_name == "unknown"); // for one mail only
}

TEST_CASE("soft_bounce makes every refusal temporary")
{
    SmtpdFixture smtpd("soft_bounce = yes\nsmtpd_relay_restrictions = reject_unauth_destination\n");
    const std::string output = smtpd.talk({ehlo, mail_from, "RCPT TO:<u@far.example>\r\n", "RCPT TO:<nobody@example.org>\r\n", "FOO\r\n"});
    CHECK(codes(output) == "220 250 250 454 450 402");
    CHECK(has(output, "454 4.7.1 <u@far.example>: Relay access denied\r\n"));
}
