#include "lib/table/aliases.h"

#include "t/support/catch.h"

using namespace posthouse::table;
using Kind = AliasTarget::Kind;

namespace {
std::vector<AliasTarget> targets(std::string_view value)
{
    auto parsed = parse_alias_value(value);
    REQUIRE(parsed);
    return *parsed;
}
} // namespace

TEST_CASE("an alias has addresses, files, commands and include files as targets")
{
    const auto all = targets("root, joe@example.com,/var/mail/archive , |/bin/cat -u, :include:/etc/list");
    REQUIRE(all.size() == 5);
    CHECK(all[0] == AliasTarget(Kind::Address, "root"));
    CHECK(all[1] == AliasTarget(Kind::Address, "joe@example.com"));
    CHECK(all[2] == AliasTarget(Kind::File, "/var/mail/archive"));
    CHECK(all[3] == AliasTarget(Kind::Command, "/bin/cat -u"));
    CHECK(all[4] == AliasTarget(Kind::Include, "/etc/list"));
}

TEST_CASE("quotes hold a target with commas and blanks together")
{
    CHECK(targets("\"|/bin/sh -c 'a, b'\"")[0] == AliasTarget(Kind::Command, "/bin/sh -c 'a, b'"));
    CHECK(targets("|\"/bin/x a, b\"")[0] == AliasTarget(Kind::Command, "/bin/x a, b"));
    CHECK(targets("\"/a file\"")[0] == AliasTarget(Kind::File, "/a file"));
    CHECK(targets("\":include:/a list\"")[0] == AliasTarget(Kind::Include, "/a list"));
    CHECK(targets("\"john doe\"@example.com")[0] == AliasTarget(Kind::Address, "\"john doe\"@example.com"));
    CHECK(targets("\"john doe\"")[0] == AliasTarget(Kind::Address, "\"john doe\""));
    CHECK(targets("\\root")[0] == AliasTarget(Kind::Address, "\\root"));
}

TEST_CASE("comments and display names are left out")
{
    CHECK(targets("joe (the boss, here)")[0] == AliasTarget(Kind::Address, "joe"));
    CHECK(targets("Joe Doe <joe@example.com>, x").at(0) == AliasTarget(Kind::Address, "joe@example.com"));
    CHECK(targets(" , ,a,").size() == 1);
    CHECK(targets("").empty());
}

TEST_CASE("white space parts targets as commas do")
{
    const auto all = targets("anna bert,\tcarl /a \\root");
    REQUIRE(all.size() == 5);
    CHECK(all[1] == AliasTarget(Kind::Address, "bert"));
    CHECK(all[2] == AliasTarget(Kind::Address, "carl"));
    CHECK(all[3] == AliasTarget(Kind::File, "/a"));
    CHECK(all[4] == AliasTarget(Kind::Address, "\\root"));
    CHECK(targets("anna (who reads) bert (who does not)").size() == 2);
    CHECK(targets("\"john doe\" \"a b\"@example.com").size() == 2);
    CHECK(targets("\"|/bin/x a, b\" bert").size() == 2);
    const auto named = targets("Joe A. Doe <joe@example.com> \"Ann (x)\" Boe <ann@example.com> bert");
    REQUIRE(named.size() == 3);
    CHECK(named[0] == AliasTarget(Kind::Address, "joe@example.com"));
    CHECK(named[1] == AliasTarget(Kind::Address, "ann@example.com"));
    CHECK(named[2] == AliasTarget(Kind::Address, "bert"));
    CHECK(targets(":include: /etc/list")[0] == AliasTarget(Kind::Include, "/etc/list"));
}

TEST_CASE("what is no address is an error of the alias")
{
    for (const char* bad : {"anna @ example.com", "<anna bert>", "Joe <anna bert@example.com>", "a\x01" "b"})
        CHECK_FALSE(parse_alias_value(bad));
}

TEST_CASE("unbalanced text is an error and not a guess")
{
    for (const char* bad : {"\"a", "(a", "a>", "|", ":include:"})
        CHECK_FALSE(parse_alias_value(bad));
    CHECK_FALSE(parse_alias_value("a,b,c", 2));
}

TEST_CASE("an alias line is a name, a colon and a value")
{
    CHECK(parse_alias_line("Postmaster: root")->key == "Postmaster");
    CHECK(parse_alias_line("a :  b, c")->value == "b, c");
    CHECK(parse_alias_line("\"john doe\": joe")->key == "john doe");
    for (const char* bad : {"name", "name:", ":x", "\"a: b", "\"a\" b", "a: \"b"})
        CHECK_FALSE(parse_alias_line(bad));
}
