#include "t/unit/table/fixture.h"

#include "lib/table/maps.h"
#include "t/support/catch.h"

using posthouse::Result;
using posthouse::Task;
using posthouse::test::run_task;
using posthouse::test::Tables;
namespace table = posthouse::table;

namespace {
Task<Result<bool>> is_local(std::string domain) { co_return domain == "local.example"; }

std::string find(Tables& tables, const std::string& value, const std::string& address,
                 unsigned search = table::SearchDefault)
{
    auto maps = table::AddressMaps::open("test_maps", value, tables.context, is_local);
    REQUIRE(maps);
    auto match = run_task(tables.loop, (*maps)->find(address, search));
    if (!match)
        return "(error)";
    if (!*match)
        return "(none)";
    return (*match)->extension.empty() ? (*match)->value : (*match)->value + " " + (*match)->extension;
}
} // namespace

TEST_CASE("the first of several tables with an answer wins")
{
    Tables tables;
    auto maps = table::Maps::open("m", "inline:{a=1}, inline:{a=2, b=3} static:4", tables.context);
    REQUIRE(maps);
    CHECK(Tables::show(run_task(tables.loop, (*maps)->lookup("a"))) == "1");
    CHECK(Tables::show(run_task(tables.loop, (*maps)->lookup("b"))) == "3");
    CHECK(Tables::show(run_task(tables.loop, (*maps)->lookup("c"))) == "4");
}

TEST_CASE("a failing table stops the search before the tables behind it")
{
    Tables tables;
    auto maps = table::Maps::open("m", "fail:x static:4", tables.context);
    REQUIRE(maps);
    CHECK(Tables::show(run_task(tables.loop, (*maps)->lookup("a"))).find("(error) m lookup error") == 0);
}

TEST_CASE("an address is asked for whole, without extension, by local part if local, then by domain")
{
    Tables tables;
    tables.context.recipient_delimiter = "+-";
    CHECK(find(tables, "inline:{u+x@d=full, u@d=bare}", "u+x@d") == "full");
    CHECK(find(tables, "inline:{u@d=bare}", "u+x@d") == "bare +x");
    CHECK(find(tables, "inline:{u@d=bare}", "u-x+y@d") == "bare -x+y");
    CHECK(find(tables, "inline:{@d=all}", "u+x@d") == "all");
    CHECK(find(tables, "inline:{u=plain}", "u@elsewhere") == "(none)");
    CHECK(find(tables, "inline:{u=plain, @local.example=all}", "u@local.example") == "plain");
    CHECK(find(tables, "inline:{u=plain, u+x=full}", "u+x@local.example") == "full");
    CHECK(find(tables, "inline:{u=plain}", "u+x@local.example") == "plain +x");
    CHECK(find(tables, "inline:{u=plain}", "u") == "plain");
    CHECK(find(tables, "inline:{d.example=dom}", "u@d.example", table::SearchFull | table::SearchDomain) == "dom");
    CHECK(find(tables, "inline:{.example=top}", "u@d.example", table::SearchDomain | table::SearchParentDomains) == "top");
}

TEST_CASE("special local parts keep their extension")
{
    CHECK(table::find_extension("user+ext", "+") == 4);
    CHECK(table::find_extension("user", "+") == std::string::npos);
    CHECK(table::find_extension("+ext", "+") == std::string::npos);
    CHECK(table::find_extension("owner-list", "-") == std::string::npos);
    CHECK(table::find_extension("list-request", "-") == std::string::npos);
    CHECK(table::find_extension("double-bounce", "-") == std::string::npos);
    CHECK(table::find_extension("user.a_b", "_.") == 4);
    CHECK(table::find_extension("user+ext", "") == std::string::npos);
}

TEST_CASE("a domain is looked up with its parents in either style")
{
    Tables tables;
    auto dotted = table::Maps::open("m", "inline:{.example.com=dot}", tables.context);
    auto plain = table::Maps::open("m", "inline:{example.com=parent}", tables.context);
    CHECK(Tables::show(run_task(tables.loop, table::lookup_domain(**dotted, "a.b.example.com", false))) == "dot");
    CHECK(Tables::show(run_task(tables.loop, table::lookup_domain(**dotted, "example.com", false))) == "(none)");
    CHECK(Tables::show(run_task(tables.loop, table::lookup_domain(**plain, "a.b.example.com", true))) == "parent");
    CHECK(Tables::show(run_task(tables.loop, table::lookup_domain(**plain, "a.example.com", false))) == "(none)");
}
