#include "t/unit/table/fixture.h"

#include "lib/table/pattern_file.h"
#include "t/support/catch.h"

using posthouse::test::Tables;

TEST_CASE("cidr matches addresses with the first network that holds them")
{
    Tables tables;
    const std::string path = tables.write("c", "192.0.2.1  OK $1\n192.0.2.0/24 REJECT\n!10.0.0.0/8 outside\n"
                                               "if 10.1.0.0/16\n10.1.1.0/24 inner\nendif\n0.0.0.0/0 rest\n");
    auto table = tables.open("cidr:" + path);
    CHECK(tables.ask(*table, "192.0.2.1") == "OK $1");
    CHECK(tables.ask(*table, "192.0.2.7") == "REJECT");
    CHECK(tables.ask(*table, "172.16.0.1") == "outside");
    CHECK(tables.ask(*table, "10.1.1.9") == "inner");
    CHECK(tables.ask(*table, "10.1.2.9") == "rest");
    CHECK_FALSE(table->partial_keys());
    CHECK(tables.ask("cidr:{{2001:db8::/32 v6}, {10.0.0.0/8 v4}}", "2001:db8::9") == "v6");
}

TEST_CASE("regexp and pcre ignore case, substitute groups, negate, and nest in if")
{
    Tables tables;
    const std::string path = tables.write("r", "# rules\n"
                                               "/^user\\+(.*)@(.*)$/  $1 at ${2}, cost $$5\n"
                                               "if /@example\\.com$/\n"
                                               "!/^admin@/  not admin\n"
                                               "/./ admin\n"
                                               "endif\n"
                                               "if !/@example\\.org$/\n"
                                               "/^x(y)?z/ [$(1)]\n"
                                               "endif\n"
                                               "|a/b| slash\n"
                                               "/^Case$/i sensitive\n");
    for (const char* type : {"regexp:", "pcre:"}) {
        auto table = tables.open(type + path);
        CHECK(tables.ask(*table, "User+ext@Example.org") == "ext at Example.org, cost $5");
        CHECK(tables.ask(*table, "joe@example.com") == "not admin");
        CHECK(tables.ask(*table, "admin@example.com") == "admin");
        CHECK(tables.ask(*table, "xz@a") == "[]");
        CHECK(tables.ask(*table, "xyz@a") == "[y]");
        CHECK(tables.ask(*table, "xyz@example.org") == "(none)");
        CHECK(tables.ask(*table, "a/b") == "slash");
        CHECK(tables.ask(*table, "case") == "(none)");
        CHECK(tables.ask(*table, "Case") == "sensitive");
    }
}

TEST_CASE("a bad rule is skipped with a warning, unpaired if and endif fail the table")
{
    Tables tables;
    CHECK(tables.ask("regexp:{{/(/ bad}, {/x/ $1}, {!/y(.)/ $1}, {/a/ good}}", "a") == "good");
    CHECK(tables.ask("pcre:{{/a/q flag}, {/(?<x/ bad}, {/a/}, {a good}, {/a/ good}}", "a") == "good");
    CHECK(tables.ask("pcre:{{if /a/}, {/a/ x}}", "a").find("without \"endif\"") != std::string::npos);
    CHECK(tables.ask("pcre:{{/a/ x}, {endif}}", "a").find("without \"if\"") != std::string::npos);
}

TEST_CASE("a pattern that would run forever is a temporary error")
{
    Tables tables;
    const std::string name = "pcre:{{/^(a|aa)+$/ x}}";
    CHECK(tables.ask(name, std::string(500, 'a') + "b").find("(error)") == 0);
}

TEST_CASE("unionmap joins all answers, pipemap hands each on to the next")
{
    Tables tables;
    const std::string both = "unionmap:{inline:{a=1}, inline:{b=2}, static:3}";
    CHECK(tables.ask(both, "a") == "1,3");
    CHECK(tables.ask(both, "b") == "2,3");
    CHECK(tables.ask("unionmap:{inline:{a=1}}", "z") == "(none)");
    CHECK(tables.ask("pipemap:{inline:{a=b}, inline:{b=c}}", "a") == "c");
    CHECK(tables.ask("pipemap:{inline:{a=b}, inline:{c=d}}", "a") == "(none)");
    CHECK(tables.ask("pipemap:{inline:{a=b}, fail:x}", "a").find("(error)") == 0);
    CHECK_FALSE(tables.open("unionmap:{static:1, pcre:{{/x/ y}}}")->partial_keys());
}

TEST_CASE("unix tables show the system's users and groups")
{
    Tables tables;
    CHECK(tables.ask("unix:passwd.byname", "root").find("root:*:0:0:") == 0);
    CHECK(tables.ask("unix:group.byname", "root").find("root:*:0:") == 0);
    CHECK(tables.ask("unix:passwd.byname", "no-such-user-here") == "(none)");
}
