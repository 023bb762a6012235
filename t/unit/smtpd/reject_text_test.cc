// What is said to who is refused.
#include "smtpd/reject_text.h"
#include "t/support/catch.h"
#include "t/unit/smtpd/session_fixture.h"

using namespace posthouse;
using namespace posthouse::smtpd;
using namespace posthouse::test;

namespace {

constexpr const char* ehlo = "EHLO client.example\r\n";

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("what a table gives is a refusal, or it is nothing")
{
    CHECK(parse_refusal("550 5.7.1 no, thanks") == smtp::Reply(550, "5.7.1", "no, thanks"));
    CHECK(parse_refusal(" 450 come back ") == smtp::Reply(450, "", "come back"));
    CHECK(parse_refusal("550 4.7.1 codes differ") == smtp::Reply(550, "", "4.7.1 codes differ"));
    CHECK(parse_refusal("550 5.7 short") == smtp::Reply(550, "", "5.7 short"));
    for (const char* bad : {"", "550", "5500 x", "250 2.0.0 Ok", "354 go", "x50 y", "55 5.1.1 x", "5 5 0"})
        CHECK_FALSE(parse_refusal(bad));
}

TEST_CASE("nothing that a client says becomes a line of a reply, or a name that is looked up")
{
    SmtpdFixture smtpd("smtpd_reject_footer = <$sender> $helo_name\n");
    const std::string output = smtpd.talk({"EHLO ${sender?x}\\n221\r\n", "MAIL FROM:<$helo_name\\n@example.net>\r\n", "FOO\r\n"});
    CHECK(has(output, "502-5.5.2 Error: command not recognized\r\n502 5.5.2 <"));
    CHECK_FALSE(has(output, "\r\n221"));
    CHECK_FALSE(has(output, "\r\n502 5.5.2 @"));
}

TEST_CASE("a refusal at the greeting, and one that ends the session, have the footer; what is no refusal has none")
{
    SmtpdFixture smtpd("smtpd_reject_footer = \\c (see you)\nsmtpd_delay_reject = no\nsmtpd_client_restrictions = reject\n");
    CHECK(has(smtpd.talk({}), "Access denied (see you)\r\n"));
    SmtpdFixture open("smtpd_reject_footer = \\c (see you)\nsmtpd_hard_error_limit = 1\n");
    const std::string output = open.talk({ehlo, "FOO\r\n"});
    CHECK(has(output, "421 4.7.0 mx.example.org Error: too many errors (see you)\r\n"));
    CHECK_FALSE(has(output, "CHUNKING (see you)"));
}
