#include "local/alias_expansion.h"

#include "lib/base/file.h"
#include "t/support/catch.h"
#include "t/support/run_task.h"
#include "t/unit/local/fixture.h"

using namespace posthouse;
using namespace posthouse::local;
using Kind = Destination::Kind;

namespace {

Task<Result<bool>> is_ours(std::string domain) { co_return domain == "ours.example"; }

class Aliases {
public:
    Aliases() : pool(loop, 1) {}
    Result<Expansion> expand(const std::string& aliases, const std::string& name)
    {
        std::string table = "inline:{";
        for (const auto& line : ascii_lines(aliases))
            table += "{" + line + "},";
        const table::Context context(loop, pool);
        auto maps = table::Maps::open("alias_maps", table + "{nothing=nothing}}", context);
        REQUIRE(maps);
        AliasExpander expander(**maps, is_ours, pool, "+", "ours.example");
        return test::run_task(loop, expander.expand(name, "ours.example"));
    }
    // "M:joe U:ann R:x@y F:/f C:cmd", with " owner" behind where there is one.
    std::string show(const std::string& aliases, const std::string& name)
    {
        auto expansion = expand(aliases, name);
        if (!expansion)
            return cat(expansion.error().dsn(), " ", expansion.error().text());
        std::string text = expansion->is_alias ? "" : "(no alias) ";
        for (const Destination& end : expansion->destinations) {
            append_to(text, "MURFC"[static_cast<size_t>(end.kind)], ':', end.text);
            if (!end.owner.empty())
                append_to(text, '/', end.owner);
            text += ' ';
        }
        return text;
    }
    static std::vector<std::string> ascii_lines(const std::string& text)
    {
        std::vector<std::string> lines;
        for (size_t start = 0; start < text.size();) {
            const size_t end = std::min(text.find('\n', start), text.size());
            lines.push_back(text.substr(start, end - start));
            start = end + 1;
        }
        return lines;
    }
    Loop loop;
    ThreadPool pool;
    test::Scratch scratch;
};

} // namespace

TEST_CASE("a name that is no alias is a user, with its extension")
{
    Aliases a;
    CHECK(a.show("x=y", "Joe+ext") == "(no alias) U:joe+ext ");
    CHECK(a.show("joe=ann", "\\joe") == "(no alias) M:joe ");
}

TEST_CASE("an alias is found with its extension first, then without")
{
    Aliases a;
    CHECK(a.show("joe=ann\njoe+work=bob", "joe+work") == "U:bob ");
    CHECK(a.show("joe=ann\njoe+work=bob", "joe+play") == "U:ann ");
}

TEST_CASE("nested aliases come down to their ends, each once")
{
    Aliases a;
    CHECK(a.show("all=team, boss, x@else.example\nteam=ann, bob, X@else.example\nboss=ann@ours.example", "all") ==
          "U:ann U:bob R:X@else.example R:x@else.example ");
    CHECK(a.show("postmaster=root\nroot=joe@else.example", "postmaster") == "R:joe@else.example ");
    CHECK(a.show("a=/var/f, \"|cmd x, y\", |\"other\"", "a") == "F:/var/f C:cmd x, y C:other ");
}

TEST_CASE("an alias that names itself means the user's own mailbox; a circle leads nowhere")
{
    Aliases a;
    CHECK(a.show("joe=joe, x@else.example", "joe") == "M:joe R:x@else.example ");
    CHECK(a.show("joe=\\joe, ann", "joe") == "M:joe U:ann ");
    CHECK(a.show("a=b\nb=a", "a").empty());
    CHECK(a.show("a=b, joe\nb=a", "a") == "U:joe ");
}

TEST_CASE("owner- aliases give the sender of what is inside")
{
    Aliases a;
    CHECK(a.show("list=ann, inner\ninner=bob\nowner-list=joe", "list") ==
          "U:ann/owner-list@ours.example U:bob/owner-list@ours.example ");
    CHECK(a.show("list=ann, inner\ninner=bob\nowner-list=joe\nowner-inner=jim", "list") ==
          "U:ann/owner-list@ours.example U:bob/owner-inner@ours.example ");
    CHECK(a.show("owner-list=joe", "owner-list") == "U:joe ");
}

TEST_CASE("include files have lines, comments and lists; one that includes itself ends the delivery")
{
    Aliases a;
    const std::string list = a.scratch.directory + "/list";
    REQUIRE(replace_file(list, "# members\nann, bob\n\n\"john doe\"@else.example\n/var/file\n", 0644));
    CHECK(a.show("l=:include:" + list, "l") == "U:ann U:bob R:\"john doe\"@else.example F:/var/file ");
    auto expansion = a.expand("l=/var/file2, :include:" + list, "l");
    CHECK_FALSE(expansion->destinations.front().from_include);
    CHECK(expansion->destinations.back().from_include);

    REQUIRE(replace_file(list, ":include:" + list + "\n", 0644));
    CHECK(a.show("l=:include:" + list, "l").find("5.4.6 ") == 0);
    CHECK(a.show("l=:include:/nonexistent/list", "l").find("4.2.4 ") == 0);
}

TEST_CASE("aliases nested without end are given up, and so is broken text")
{
    Aliases a;
    std::string chain;
    for (int i = 0; i < 150; ++i)
        chain += cat("a", i, "=a", i + 1, "\n");
    CHECK(a.show(chain, "a0").find("5.4.6 ") == 0);
    CHECK(a.show("a=\"unbalanced", "a").find("5.3.5 ") == 0);
}

TEST_CASE("a failing alias table is a reason to wait")
{
    Aliases a;
    const table::Context context(a.loop, a.pool);
    auto maps = table::Maps::open("alias_maps", "fail:x", context);
    AliasExpander expander(**maps, is_ours, a.pool, "+", "ours.example");
    auto expansion = test::run_task(a.loop, expander.expand("joe", "ours.example"));
    REQUIRE_FALSE(expansion);
    CHECK_FALSE(expansion.error().permanent());
}
