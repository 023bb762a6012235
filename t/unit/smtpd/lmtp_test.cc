// LMTP: the same sessions under the name lmtpd.
#include "t/support/catch.h"
#include "t/unit/smtpd/session_fixture.h"

using namespace posthouse;
using namespace posthouse::test;

namespace {

struct LmtpFixture : SmtpdFixture {
    explicit LmtpFixture(const std::string& more = "") : SmtpdFixture(more) { server->lmtp = true; }
};

constexpr const char* lhlo = "LHLO client.example\r\n";
constexpr const char* two = "MAIL FROM:<you@example.net>\r\nRCPT TO:<friend@example.org>\r\nRCPT TO:<nobody@example.org>\r\n"
                            "RCPT TO:<postmaster@example.org>\r\n";

} // namespace

TEST_CASE("after the content each recipient that was taken has a reply, byte by byte too")
{
    for (const size_t piece : {SIZE_MAX, size_t(1)}) {
        LmtpFixture lmtpd("smtpd_forbid_unauth_pipelining = no\n");
        CHECK(codes(lmtpd.talk({lhlo, two, "DATA\r\n", "Subject: x\r\n\r\nHello.\r\n.\r\n", "QUIT\r\n"}, piece))
              == "220 250 250 250 550 250 354 250 250 221");
        REQUIRE(lmtpd.queue.stored.size() == 1);
        CHECK(lmtpd.queue.stored[0].envelope.recipients.size() == 2);
        CHECK(lmtpd.queue.stored[0].envelope.protocol == "LMTP");
    }
}

TEST_CASE("a failure at the end is told to each recipient as well, in soft_bounce's words where that is set")
{
    LmtpFixture lmtpd("soft_bounce = yes\n");
    lmtpd.queue.fail_commit = Error(ErrorKind::Permanent, "5.3.4", "Error: too big");
    CHECK(codes(lmtpd.talk({lhlo, two, "DATA\r\n", "x\r\n.\r\n", "NOOP\r\n"})) == "220 250 250 250 450 250 354 452 452 250");
}

TEST_CASE("a refused chunk has one reply, the last one of them has one for each recipient")
{
    LmtpFixture lmtpd;
    CHECK(codes(lmtpd.talk({lhlo, two, "BDAT 3\r\nabc", "BDAT 2 LAST\r\n\r\n"})) == "220 250 250 250 550 250 250 250 250");
    CHECK(codes(lmtpd.talk({lhlo, "MAIL FROM:<>\r\n", "BDAT 3 LAST\r\nabc", "NOOP\r\n"})) == "220 250 250 554 250");
}

TEST_CASE("a REDIRECT or DISCARD of an access table changes nothing in the number of replies")
{
    for (const char* action : {"REDIRECT a@example.org", "DISCARD", "BCC a@example.org"}) {
        LmtpFixture lmtpd(std::string("smtpd_data_restrictions = check_client_access inline:{ { 198.51.100.7 = ") + action + " } }\n");
        CHECK(codes(lmtpd.talk({lhlo, two, "DATA\r\n", "x\r\n.\r\n", "NOOP\r\n"})) == "220 250 250 250 550 250 354 250 250 250");
    }
}

TEST_CASE("Received: of LMTP has the words of RFC 3848 and RFC 6531")
{
    LmtpFixture lmtpd;
    (void)lmtpd.talk({lhlo, "MAIL FROM:<you@example.net>\r\n", "RCPT TO:<friend@example.org>\r\n", "DATA\r\n", "x\r\n.\r\n"});
    (void)lmtpd.talk({lhlo, "MAIL FROM:<you@example.net> SMTPUTF8\r\n", "RCPT TO:<friend@example.org>\r\n", "DATA\r\n", "x\r\n.\r\n"});
    REQUIRE(lmtpd.queue.stored.size() == 2);
    CHECK(lmtpd.queue.stored[0].content.find(") with LMTP id ") != std::string::npos);
    CHECK(lmtpd.queue.stored[1].content.find(") with UTF8LMTP id ") != std::string::npos);
}
