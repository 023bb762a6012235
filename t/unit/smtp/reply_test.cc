// Replies: building and reading.
#include "lib/smtp/reply.h"
#include "t/support/catch.h"

using namespace posthouse;
using smtp::Reply;

namespace {
Result<Reply> parse(std::initializer_list<std::string_view> lines)
{
    smtp::ReplyParser parser;
    for (std::string_view line : lines) {
        auto last = parser.line(line);
        if (!last)
            return std::move(last.error());
        if (*last)
            return parser.reply();
    }
    return Error(ErrorKind::Temporary, "incomplete");
}
} // namespace

TEST_CASE("a reply repeats code and status on each of its lines")
{
    CHECK(Reply(250, "2.1.0", "Ok").to_wire() == "250 2.1.0 Ok\r\n");
    CHECK(Reply(250, "", "mx.example").add("PIPELINING").add("SIZE 10").to_wire() ==
          "250-mx.example\r\n250-PIPELINING\r\n250 SIZE 10\r\n");
    CHECK(Reply(550, "5.1.1", "a").add("b").to_wire() == "550-5.1.1 a\r\n550 5.1.1 b\r\n");
}

TEST_CASE("control characters in a reply's text cannot break out of its line")
{
    CHECK(Reply(550, "5.1.1", "a\r250 Ok").to_wire() == "550 5.1.1 a?250 Ok\r\n");
}

TEST_CASE("a reply is read with its enhanced status code, in one line or several")
{
    auto reply = parse({"550-5.1.1 first", "550 5.1.1 second"});
    REQUIRE(reply);
    CHECK(reply->code == 550);
    CHECK(reply->dsn == "5.1.1");
    CHECK(reply->text == "first\nsecond");
    CHECK(reply->to_text() == "550 5.1.1 first second");
    CHECK(reply->permanent());
    reply = parse({"250"});
    REQUIRE(reply);
    CHECK(reply->text.empty());
    reply = parse({"250 2.0.0"});
    REQUIRE(reply);
    CHECK(reply->dsn == "2.0.0");
    CHECK(parse({"450 5.1.1 odd"})->dsn.empty());
    CHECK(parse({"250 2.1000.0 odd"})->dsn.empty());
    CHECK(parse({"220 2.example.org ESMTP"})->dsn.empty());
}

TEST_CASE("what is no reply is an error, and an endless one too")
{
    CHECK_FALSE(parse({"hello"}));
    CHECK_FALSE(parse({""}));
    CHECK_FALSE(parse({"2500 x"}));
    CHECK_FALSE(parse({"650 x"}));
    smtp::ReplyParser parser;
    bool failed = false;
    for (int i = 0; i < 2000 && !failed; ++i)
        failed = !parser.line("250-more");
    CHECK(failed);
    CHECK(parser.reply().text.size() < 10000);
}
