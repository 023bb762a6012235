// What postconf does to the text of main.cf and master.cf.
#include "t/support/catch.h"
#include "tools/config_edit.h"

using namespace posthouse::tools;

TEST_CASE("a changed parameter keeps its place, and comments and order stay")
{
    CHECK(edit_main_cf("# top\na = 1\n\nb = 2,\n  3\n# inside\n  4\nc = 5\n", EditAction::Set, {{"b", "9"}}) ==
          "# top\na = 1\n\nb = 9\n# inside\nc = 5\n");
}

TEST_CASE("a new parameter is added at the end, also behind a last line without end")
{
    CHECK(edit_main_cf("a = 1", EditAction::Set, {{"b", "2"}, {"c", ""}}) == "a = 1\nb = 2\nc =\n");
    CHECK(edit_main_cf("", EditAction::Set, {{"b", "2"}}) == "b = 2\n");
}

TEST_CASE("a parameter that stands twice is set once")
{
    CHECK(edit_main_cf("a = 1\nb = 2\na=3\n", EditAction::Set, {{"a", "4"}}) == "a = 4\nb = 2\n");
}

TEST_CASE("a commented parameter is not the parameter")
{
    CHECK(edit_main_cf("#a = 1\n", EditAction::Set, {{"a", "2"}}) == "#a = 1\na = 2\n");
}

TEST_CASE("entries are removed or made comments with all of their lines")
{
    CHECK(edit_main_cf("a = 1\n b\nc = 2\n", EditAction::Remove, {{"a", ""}}) == "c = 2\n");
    CHECK(edit_main_cf("a = 1\n b\nc = 2\n", EditAction::CommentOut, {{"a", ""}}) == "#a = 1\n# b\nc = 2\n");
}

TEST_CASE("entries of master.cf are found by service and type")
{
    const char* text = "smtp inet n - n - - smtpd\n  -o a=b\nsmtp unix - - n - - smtp\n";
    CHECK(edit_master_cf(text, EditAction::Remove, {{"smtp/inet", ""}}) == "smtp unix - - n - - smtp\n");
    CHECK(edit_master_cf(text, EditAction::Set, {{"smtp/unix", "smtp unix - - y - - smtp"}}) ==
          "smtp inet n - n - - smtpd\n  -o a=b\nsmtp unix - - y - - smtp\n");
}

TEST_CASE("an entry is shown in columns, on one line or with each option on its own")
{
    auto entries = read_master_entries("smtp inet n - y - - smtpd -v\n -o a=b -o { c = d e }\n");
    REQUIRE(entries.size() == 1);
    CHECK(entries[0].to_text(false) == "smtp       inet  n       -       y       -       -       smtpd -v -o a=b -o { c = d e }");
    CHECK(entries[0].to_text(true) ==
          "smtp       inet  n       -       y       -       -       smtpd -v\n    -o a=b\n    -o { c = d e }");
}

TEST_CASE("options of an entry can be read, set and removed")
{
    auto entry = read_master_entries("smtp inet n - y - - smtpd -v -o a=b -o { c = d e } x -o y=z\n").at(0);
    using Pairs = std::vector<std::pair<std::string, std::string>>;
    CHECK(entry.options() == Pairs{{"a", "b"}, {"c", "d e"}});
    entry.set_option("a", "1");
    entry.set_option("f", "g h");
    CHECK(entry.options() == Pairs{{"c", "d e"}, {"a", "1"}, {"f", "g h"}});
    entry.remove_option("c");
    CHECK(entry.command == std::vector<std::string>{"smtpd", "-v", "-o", "a=1", "-o", "{ f = g h }", "x", "-o", "y=z"});
}
