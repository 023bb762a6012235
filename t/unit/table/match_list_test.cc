#include "t/unit/table/fixture.h"

#include "lib/table/match_list.h"
#include "t/support/catch.h"

using posthouse::net::IpAddress;
using posthouse::test::run_task;
using posthouse::test::Tables;
using posthouse::table::MatchList;

namespace {
bool domain(Tables& tables, const std::string& value, const std::string& name, bool parents = false)
{
    auto list = MatchList::open("test_list", value, parents, tables.context);
    REQUIRE(list);
    auto matched = run_task(tables.loop, (*list)->matches_domain(name));
    REQUIRE(matched);
    return *matched;
}

bool client(Tables& tables, const std::string& value, const std::string& name, const std::string& address)
{
    auto list = MatchList::open("test_list", value, false, tables.context);
    REQUIRE(list);
    auto matched = run_task(tables.loop, (*list)->matches_client(name, *IpAddress::parse(address)));
    REQUIRE(matched);
    return *matched;
}
} // namespace

TEST_CASE("a domain matches by name, and its subdomains only where they shall")
{
    Tables tables;
    CHECK(domain(tables, "Example.com, other.example", "example.COM"));
    CHECK_FALSE(domain(tables, "example.com", "a.example.com"));
    CHECK(domain(tables, ".example.com", "a.example.com"));
    CHECK_FALSE(domain(tables, ".example.com", "example.com"));
    CHECK(domain(tables, "example.com", "a.example.com", true));
    CHECK_FALSE(domain(tables, "example.com", "badexample.com", true));
    CHECK(domain(tables, "inline:{.example.com=x}", "a.example.com"));
    CHECK(domain(tables, "inline:{example.com=x}", "a.example.com", true));
}

TEST_CASE("the first pattern that matches decides, and ! excludes")
{
    Tables tables;
    CHECK_FALSE(client(tables, "!10.0.0.1, 10.0.0.0/8", "", "10.0.0.1"));
    CHECK(client(tables, "!10.0.0.1, 10.0.0.0/8", "", "10.0.0.2"));
    CHECK(client(tables, "10.0.0.0/8, !10.0.0.1", "", "10.0.0.1"));
    CHECK_FALSE(domain(tables, "! a.example, .example", "a.example"));
}

TEST_CASE("clients match by address, network and name, IPv6 in brackets")
{
    Tables tables;
    CHECK(client(tables, "127.0.0.0/8 [::1]/128 [2001:db8::]/32", "", "2001:db8::5"));
    CHECK_FALSE(client(tables, "127.0.0.0/8 [::1]/128", "", "192.0.2.1"));
    CHECK(client(tables, "mx.example", "mx.example", "192.0.2.1"));
    CHECK_FALSE(client(tables, "unknown", "unknown", "192.0.2.1"));
    CHECK(client(tables, "inline:{192.0.2.1=x}", "", "192.0.2.1"));
    CHECK(client(tables, "2001:db8::1", "", "2001:db8::1"));
}

TEST_CASE("a file's content takes its place in the list, and ! before it negates all of it")
{
    Tables tables;
    const std::string path = tables.write("list", "# ours\na.example\n10.0.0.0/8\n");
    CHECK(domain(tables, path + ", b.example", "a.example"));
    CHECK_FALSE(client(tables, "!" + path + " 0.0.0.0/0", "", "10.1.1.1"));
    CHECK(client(tables, "!" + path + " 0.0.0.0/0", "", "11.1.1.1"));
}

TEST_CASE("a missing file is a temporary error and not a match")
{
    Tables tables;
    auto list = MatchList::open("test_list", "/nonexistent/file", false, tables.context);
    REQUIRE(list);
    CHECK_FALSE(run_task(tables.loop, (*list)->matches_domain("x")));
}

TEST_CASE("a bad network names the parameter and what it should be")
{
    Tables tables;
    auto list = MatchList::open("mynetworks", "10.0.0.1/8", false, tables.context);
    REQUIRE_FALSE(list);
    CHECK(list.error().text().find("mynetworks: non-null host address bits") == 0);
    CHECK(list.error().text().find("10.0.0.0/8") != std::string::npos);
}
