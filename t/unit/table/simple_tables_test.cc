#include "t/unit/table/fixture.h"

#include "lib/table/text_file.h"
#include "t/support/catch.h"

using posthouse::test::Tables;

TEST_CASE("static gives its text for every key")
{
    Tables tables;
    CHECK(tables.ask("static:all", "x") == "all");
    CHECK(tables.ask("static:{ two words }", "x") == "two words");
}

TEST_CASE("inline holds its records in main.cf")
{
    Tables tables;
    const std::string name = "inline:{a=1, B = 2, { c = with, comma and space }}";
    CHECK(tables.ask("inline:{a=1, {B = 2}}", "a") == "1");
    CHECK(tables.ask("inline:{a=1, {B = 2}}", "b") == "2");
    CHECK(tables.ask("inline:{{ c = with, comma and space }}", "c") == "with, comma and space");
    CHECK(tables.ask("inline:{a=1}", "z") == "(none)");
    // Without inner braces white space ends a record, and "B" alone is none.
    CHECK(tables.ask(name, "a").find("(error)") == 0);
}

TEST_CASE("a user of the system is found in upper case too, unless keys are not folded")
{
    Tables tables;
    CHECK(tables.ask("unix:passwd.byname", "Root").starts_with("root:*:0:"));
    CHECK(tables.ask("unix:group.byname", "ROOT").starts_with("root:*:0:"));
    tables.context.fold_keys = false;
    CHECK(tables.ask("unix:passwd.byname", "Root") == "(none)");
}

TEST_CASE("texthash reads key and value lines, continuation and comments, and folds keys")
{
    Tables tables;
    const std::string path = tables.write("t", "# comment\n"
                                               "User@Example.com   first,\n"
                                               "   # inside\n"
                                               "\tsecond\n"
                                               "\n"
                                               "\"a \\\"b\" quoted key\n"
                                               "\"x y\"@example.com an address\n"
                                               "novalue\n"
                                               "user@example.com duplicate\n");
    auto table = tables.open("texthash:" + path);
    CHECK(tables.ask(*table, "user@example.com") == "first,\tsecond");
    CHECK(tables.ask(*table, "USER@example.com") == "first,\tsecond");
    CHECK(tables.ask(*table, "a \"b") == "quoted key");
    CHECK(tables.ask(*table, "\"x y\"@example.com") == "an address");
    CHECK(tables.ask(*table, "novalue") == "(none)");
    CHECK(table->name() == "texthash:" + path);
}

TEST_CASE("a replaced or removed file makes its table stale")
{
    Tables tables;
    const std::string path = tables.write("t", "a 1\n");
    auto table = tables.open("texthash:" + path);
    CHECK_FALSE(table->stale());
    tables.write("t", "a 2\n");
    CHECK(table->stale());
    CHECK(tables.ask(*table, "a") == "1");
}

TEST_CASE("a missing table warns and then fails every lookup for the time being")
{
    Tables tables;
    auto table = tables.open("lmdb:" + tables.directory + "/nothing");
    const auto value = posthouse::test::run_task(tables.loop, table->lookup("x"));
    REQUIRE_FALSE(value);
    CHECK_FALSE(value.error().permanent());
    CHECK(value.error().dsn() == "4.3.0");
    CHECK(tables.ask("nosuchtype:x", "x").find("(error)") == 0);
    tables.context.warn_missing = false;
    CHECK_FALSE(posthouse::table::open("nosuchtype:x", tables.context));
}

TEST_CASE("a table that could not be opened is stale once its file appears, and only then")
{
    Tables tables;
    auto table = tables.open("texthash:" + tables.directory + "/later");
    CHECK_FALSE(table->stale());
    tables.write("another", "a 1\n");
    CHECK_FALSE(table->stale());
    tables.write("later", "a 1\n");
    CHECK(table->stale());
    CHECK(table->stale()); // for good
    CHECK(tables.ask("texthash:" + tables.directory + "/later", "a") == "1");
}

TEST_CASE("a table in a directory that is missing too is stale once that appears")
{
    Tables tables;
    auto table = tables.open("lmdb:" + tables.directory + "/a/b/later");
    std::filesystem::create_directory(tables.directory + "/other");
    CHECK_FALSE(table->stale());
    std::filesystem::create_directory(tables.directory + "/a");
    CHECK(table->stale());
}

TEST_CASE("a table behind a link to nothing is stale once the link's target appears")
{
    Tables tables;
    std::filesystem::create_directory(tables.directory + "/real");
    std::filesystem::create_symlink("real/table", tables.directory + "/link");
    auto table = tables.open("texthash:" + tables.directory + "/link");
    CHECK_FALSE(table->stale());
    tables.write("real/table", "a 1\n");
    CHECK(table->stale());
}

TEST_CASE("a faulty table is stale once it is written again, not before")
{
    Tables tables;
    const std::string path = tables.write("rules", "if /(/\n/a/ b\nendif\n");
    auto table = tables.open("regexp:" + path);
    CHECK(tables.ask(*table, "a").find("(error)") == 0);
    CHECK_FALSE(table->stale());
    tables.write("rules", "/a/ b\n");
    CHECK(table->stale());
}

TEST_CASE("the file behind a table is known by its type")
{
    Tables tables;
    using posthouse::table::file_of;
    CHECK(file_of("hash:/etc/aliases", tables.context) == "/etc/aliases.lmdb");
    CHECK(file_of("/etc/aliases", tables.context) == "/etc/aliases.lmdb");
    CHECK(file_of("proxy:cidr:/etc/networks", tables.context) == "/etc/networks");
    CHECK(file_of("regexp:{ {/x/ y} }", tables.context).empty());
    CHECK(file_of("unix:passwd.byname", tables.context).empty());
    CHECK(file_of("nosuch:/file", tables.context).empty());
}

TEST_CASE("proxy: is a prefix that changes nothing")
{
    Tables tables;
    CHECK(tables.ask("proxy:static:x", "k") == "x");
}

TEST_CASE("randmap gives one of its values, environ asks the environment, fail fails")
{
    Tables tables;
    const std::string one = tables.ask("randmap:{a, {b c}}", "x");
    CHECK((one == "a" || one == "b c"));
    ::setenv("POSTHOUSE_TEST_VALUE", "there", 1);
    CHECK(tables.ask("environ:x", "POSTHOUSE_TEST_VALUE") == "there");
    CHECK(tables.ask("environ:x", "POSTHOUSE_TEST_NOTHING") == "(none)");
    CHECK(tables.ask("fail:x", "k").find("(error)") == 0);
}

TEST_CASE("text in braces is one part of a list")
{
    const auto parts = posthouse::table::split_outside_braces("a, b{c, d} {e f},,g", ", ");
    REQUIRE(parts.size() == 4);
    CHECK(parts[1] == "b{c, d}");
    CHECK(parts[2] == "{e f}");
    CHECK(posthouse::table::strip_braces(" { x y } ") == "x y");
}
