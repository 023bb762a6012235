// Arguments of MAIL, RCPT, BDAT, XCLIENT and XFORWARD.
#include "lib/smtp/command.h"
#include "t/support/catch.h"

using namespace posthouse;
using namespace posthouse::smtp;

namespace {
int mail_code(std::string_view argument, const GrammarOptions& options = GrammarOptions())
{
    MailCommand command;
    const auto refusal = parse_mail(argument, options, command);
    return refusal ? refusal->code : 0;
}
int rcpt_code(std::string_view argument, const GrammarOptions& options = GrammarOptions())
{
    RcptCommand command;
    const auto refusal = parse_rcpt(argument, options, command);
    return refusal ? refusal->code : 0;
}
} // namespace

TEST_CASE("MAIL takes a path and the parameters of what was offered")
{
    MailCommand command;
    REQUIRE_FALSE(parse_mail("FROM:<a@example.com> SIZE=1000 body=8bitmime SMTPUTF8 RET=HDRS ENVID=QQ+2B1 AUTH=<>",
                             GrammarOptions(), command));
    CHECK(command.sender.to_text() == "a@example.com");
    CHECK(command.size == 1000);
    CHECK(command.body == Body::EightBitMime);
    CHECK(command.smtputf8);
    CHECK(command.ret == mail::Return::Headers);
    CHECK(command.envid == "QQ+1");
    CHECK(command.auth == "<>");
}

TEST_CASE("the null sender is a sender")
{
    MailCommand command;
    REQUIRE_FALSE(parse_mail("FROM:<>", GrammarOptions(), command));
    CHECK(command.sender.is_null());
}

TEST_CASE("an unknown MAIL or RCPT parameter, or one not offered, is refused with 555 5.5.4")
{
    CHECK(mail_code("FROM:<a@b.example> FOO=1") == 555);
    CHECK(rcpt_code("TO:<a@b.example> FOO") == 555);
    GrammarOptions options;
    options.smtputf8 = false;
    options.dsn = false;
    CHECK(mail_code("FROM:<a@b.example> SMTPUTF8", options) == 555);
    CHECK(mail_code("FROM:<a@b.example> RET=FULL", options) == 555);
    CHECK(rcpt_code("TO:<a@b.example> NOTIFY=NEVER", options) == 555);
}

TEST_CASE("NOTIFY=NEVER stands alone, RET and ENVID are given once")
{
    CHECK(rcpt_code("TO:<a@b.example> NOTIFY=NEVER,SUCCESS") == 501);
    CHECK(rcpt_code("TO:<a@b.example> NOTIFY=") == 501);
    CHECK(rcpt_code("TO:<a@b.example> NOTIFY=OFTEN") == 501);
    CHECK(rcpt_code("TO:<a@b.example> NOTIFY=SUCCESS NOTIFY=DELAY") == 501);
    CHECK(mail_code("FROM:<a@b.example> RET=FULL RET=HDRS") == 501);
    CHECK(mail_code("FROM:<a@b.example> ENVID=a ENVID=b") == 501);
    RcptCommand command;
    REQUIRE_FALSE(parse_rcpt("TO:<a@b.example> NOTIFY=success,Delay ORCPT=rfc822;x+40y.example", GrammarOptions(), command));
    CHECK(command.notify == (mail::NotifySuccess | mail::NotifyDelay));
    CHECK(command.orcpt == "rfc822;x@y.example");
}

TEST_CASE("ENVID and ORCPT that would decode to NUL, CR or LF are refused with 501")
{
    CHECK(mail_code("FROM:<a@b.example> ENVID=a+00b") == 501);
    CHECK(mail_code("FROM:<a@b.example> ENVID=a+0Ab") == 501);
    CHECK(mail_code("FROM:<a@b.example> ENVID=a+0db") == 501);
    CHECK(mail_code("FROM:<a@b.example> ENVID=a+4") == 501);
    CHECK(rcpt_code("TO:<a@b.example> ORCPT=rfc822;a+00b") == 501);
    CHECK(rcpt_code("TO:<a@b.example> ORCPT=utf-8;a\\x{0}b") == 501);
    CHECK(rcpt_code("TO:<a@b.example> ORCPT=utf-8;a\\x{D800}b") == 501);
    CHECK(rcpt_code("TO:<a@b.example> ORCPT=nonsense") == 501);
}

TEST_CASE("SIZE is a number, and one above 64 bits is only very large")
{
    CHECK(mail_code("FROM:<a@b.example> SIZE=") == 501);
    CHECK(mail_code("FROM:<a@b.example> SIZE=-1") == 501);
    CHECK(mail_code("FROM:<a@b.example> SIZE=1x") == 501);
    CHECK(mail_code("FROM:<a@b.example> SIZE=999999999999999999999") == 501);
    MailCommand command;
    REQUIRE_FALSE(parse_mail("FROM:<a@b.example> SIZE=99999999999999999999", GrammarOptions(), command));
    CHECK(command.size == UINT64_MAX);
}

TEST_CASE("leniently a path may lack its brackets or stand after a blank, strictly it may not")
{
    for (std::string_view argument : {"FROM:a@b.example", "FROM: <a@b.example>", "FROM:< a@b.example >", "from:<a@b.example>"})
        CHECK(mail_code(argument) == 0);
    GrammarOptions strict;
    strict.strict_envelopes = true;
    for (std::string_view argument : {"FROM:a@b.example", "FROM: <a@b.example>", "FROM:< a@b.example >", "FROM:<a..c@b.example>"})
        CHECK(mail_code(argument, strict) == 501);
    CHECK(mail_code("FROM:<\"a b\"@b.example>", strict) == 0);
    CHECK(mail_code("FROM:<\"a\\\"b\"@b.example>", strict) == 0);
}

TEST_CASE("malformed commands are refused, never misread")
{
    for (std::string_view argument : {"", "FROM", "FROM:", "TO:<a@b.example>", "FROM:<a@b.example", "FROM:<a@b.example>x",
                                      "FROM:<a@b.example><c@d.example>", "FROM:<@b.example>", "FROM:<a@>", "FROM:<a b@c.example>"})
        CHECK(mail_code(argument) == 501);
    CHECK(rcpt_code("TO:<>") == 501);
    CHECK(rcpt_code("TO:<postmaster>") == 0);
}

TEST_CASE("BDAT takes a size that fits and perhaps LAST")
{
    BdatCommand command;
    REQUIRE_FALSE(parse_bdat("86 LAST", command));
    CHECK(command.size == 86);
    CHECK(command.last);
    for (std::string_view argument : {"", "x", "-1", "99999999999999999999", "5 6", "5 LAST x", "LAST"})
        CHECK(parse_bdat(argument, command));
}

TEST_CASE("XCLIENT attributes are known by name and decoded from xtext")
{
    std::vector<Attribute> attributes;
    REQUIRE_FALSE(parse_attributes("NAME=spike.example addr=IPV6:2001:db8::1 HELO=a+20b LOGIN=[UNAVAILABLE]", xclient_names,
                                   attributes));
    REQUIRE(attributes.size() == 4);
    CHECK(attributes[1].name == "ADDR");
    CHECK(attributes[1].value == "IPV6:2001:db8::1");
    CHECK(attributes[2].value == "a b");
    CHECK(attributes[3].unavailable());
    CHECK(parse_attributes("FOO=1", xclient_names, attributes));
    CHECK(parse_attributes("NAME", xclient_names, attributes));
    CHECK(parse_attributes("NAME=a+0A", xclient_names, attributes));
    CHECK(parse_attributes("", xclient_names, attributes));
}
