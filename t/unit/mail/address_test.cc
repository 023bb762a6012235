// Envelope addresses.
#include "lib/mail/address.h"
#include "t/support/catch.h"

using namespace posthouse;
using namespace posthouse::mail;

namespace {
std::string path(std::string_view text, bool strict = false)
{
    auto parsed = parse_path(text, PathOptions(strict));
    return parsed ? parsed->address.to_text() : "error";
}
} // namespace

TEST_CASE("a path is taken apart and put together again")
{
    CHECK(path("<user@example.com>") == "user@example.com");
    CHECK(path("<>").empty());
    CHECK(path("<postmaster>") == "postmaster");
    CHECK(path("<a@b.example> SIZE=1") == "a@b.example");
    CHECK(parse_path("<a@b.example>  SIZE=1")->rest == "SIZE=1");
    CHECK(path("<user@[192.0.2.1]>") == "user@[192.0.2.1]");
    CHECK(path("<user@[IPv6:2001:db8::1]>") == "user@[IPv6:2001:db8::1]");
}

TEST_CASE("a source route is stripped")
{
    CHECK(path("<@a.example,@b.example:user@c.example>") == "user@c.example");
    CHECK(path("<@a.example:user@[IPv6:2001:db8::1]>") == "user@[IPv6:2001:db8::1]");
    CHECK(path("<@a.example:>") == "error");
    CHECK(path("<@a.example>") == "error");
}

TEST_CASE("local parts in quotes are unquoted, compared, and quoted again only when they must be")
{
    CHECK(path("<\"john doe\"@example.com>") == "\"john doe\"@example.com");
    CHECK(path("<\"john.doe\"@example.com>") == "john.doe@example.com");
    CHECK(path("<\"a\\\"b\"@example.com>") == "\"a\\\"b\"@example.com");
    CHECK(path("<\"a@b\"@example.com>") == "\"a@b\"@example.com");
    CHECK(path("<\"a..b\"@example.com>") == "\"a..b\"@example.com");
    CHECK(path("<\"a>b\"@example.com>") == "\"a>b\"@example.com");
    CHECK(path("<\"\"@example.com>") == "\"\"@example.com");
    CHECK(*parse_address("\"a\\b\"@Example.COM") == *parse_address("ab@example.com"));
    CHECK_FALSE(*parse_address("Ab@example.com") == *parse_address("ab@example.com"));
}

TEST_CASE("a second @ outside of quotes is taken leniently, and is quoted from then on")
{
    CHECK(path("<u@f@l.example>") == "\"u@f\"@l.example");
    CHECK(path("<u@f@l.example>", true) == "error");
}

TEST_CASE("malformed paths are errors")
{
    for (std::string_view text :
         {"", "<", "<a", "<a@>", "<a@b", "<\"a@b.example>", "<a@b..c>", "<a@-b.example>", "<a b@c.example>", "<a@b.example>x",
          "<a@[1.2.3]>", "<a@[IPv6:1.2.3.4]>", "<a@[x]>", "<a@1.2.3.4>", "<a\\>", "<(x)a@b.example>", "<a@b_.example x>"})
        CHECK(path(text) == "error");
    CHECK(path(std::string("<a\0b@c.example>", 15)) == "error");
    CHECK(path("<a\r@c.example>") == "error");
    CHECK(path("<\xe2\x82@x.example>") == "error");
}

TEST_CASE("what a domain may be")
{
    CHECK(is_valid_hostname("a-b.example"));
    CHECK(is_valid_hostname("b\xc3\xbc" "cher.example"));
    CHECK_FALSE(is_valid_hostname(std::string(64, 'a') + ".example"));
    CHECK_FALSE(is_valid_hostname("1.2.3.4"));
    CHECK_FALSE(is_valid_hostname("a..b"));
    CHECK_FALSE(is_valid_hostname("a."));
    CHECK(path("<a@b.example.>") == "a@b.example");
}

TEST_CASE("an extension is split at the leftmost of several delimiters")
{
    auto split = split_extension("user+list-x", "+-");
    REQUIRE(split);
    CHECK(split->base == "user");
    CHECK(split->extension == "list-x");
    CHECK(split->delimiter == '+');
    CHECK(split_extension("a-b+c", "+-")->base == "a");
    for (std::string_view whole : {"user", "+x", "user+", "owner-list", "list-request", "MAILER-DAEMON", "double-bounce", "postmaster"})
        CHECK_FALSE(split_extension(whole, "+-"));
    CHECK(split_extension("owner-list+x", "+"));
    CHECK_FALSE(split_extension("user+x", ""));
}
