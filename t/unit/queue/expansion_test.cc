// Virtual alias expansion.
#include "lib/queue/expansion.h"
#include "lib/queue/rewrite.h"
#include "t/support/catch.h"
#include "t/unit/queue/intake_fixture.h"

using namespace posthouse;
using namespace posthouse::queue;
using test::Opened;

namespace {

class Expansion {
public:
    explicit Expansion(const std::string& main_cf) : rewriter_(main_cf)
    {
        auto opened = Expander::open(*rewriter_.config, table::Context(rewriter_.loop, rewriter_.pool, *rewriter_.config),
                                     *rewriter_);
        REQUIRE(opened);
        expander_ = std::move(*opened);
    }
    Result<std::vector<mail::Recipient>> of(mail::Recipient recipient)
    {
        return rewriter_.run(expander_->expand(std::move(recipient)));
    }
    std::string text_of(const std::string& address)
    {
        auto results = of(mail::Recipient(address));
        if (!results)
            return cat("error: ", results.error().full_text());
        std::string text;
        for (const mail::Recipient& each : *results)
            append_to(text, text.empty() ? "" : " ", each.address);
        return text;
    }

private:
    Opened<Rewriter> rewriter_;
    std::unique_ptr<Expander> expander_;
};

} // namespace

TEST_CASE("without a table a recipient stays as it is")
{
    Expansion expansion("");
    CHECK(expansion.text_of("ann@ours.example") == "ann@ours.example");
}

TEST_CASE("aliases are followed to their ends")
{
    Expansion expansion("virtual_alias_maps = inline:{ { team@v.example = ann, lead@v.example }, "
                        "{ lead@v.example = bob@else.example } }\n");
    CHECK(expansion.text_of("team@v.example") == "ann@ours.example bob@else.example");
    CHECK(expansion.text_of("x@v.example") == "x@v.example");
}

TEST_CASE("white space parts the results of an alias as commas do")
{
    Expansion expansion("virtual_alias_maps = inline:{ { two@v.example = ann bob@else.example }, "
                        "{ three@v.example = Ann B. <ann@x.example> (work) bob, \"a b\"@x.example } }\n");
    CHECK(expansion.text_of("two@v.example") == "ann@ours.example bob@else.example");
    CHECK(expansion.text_of("three@v.example") == "ann@x.example bob@ours.example \"a b\"@x.example");
}

TEST_CASE("a result that is no address makes mail wait for the table to be mended")
{
    Expansion expansion("virtual_alias_maps = inline:{ { a@v.example = <ann bob@x.example> }, { b@v.example = c @ d } }\n");
    CHECK(expansion.text_of("a@v.example") == "error: Alias expansion error");
    CHECK(expansion.text_of("b@v.example") == "error: Alias expansion error");
}

TEST_CASE("the same result appears once, with its domain compared without case")
{
    Expansion expansion("virtual_alias_maps = inline:{ { a@v.example = b@v.example, c@v.example, d@X.example }, "
                        "{ b@v.example = d@x.example }, { c@v.example = d@x.Example, D@x.example } }\n");
    CHECK(expansion.text_of("a@v.example") == "d@x.example D@x.example");
}

TEST_CASE("an address may expand to itself and others")
{
    Expansion expansion("virtual_alias_maps = inline:{ { ann@v.example = ann@v.example, archive@v.example } }\n");
    CHECK(expansion.text_of("ann@v.example") == "ann@v.example archive@v.example");
}

TEST_CASE("a loop ends with a temporary error at the recursion limit")
{
    Expansion expansion("virtual_alias_maps = inline:{ a@v.example=b@v.example, b@v.example=a@v.example }\n");
    auto result = expansion.of(mail::Recipient("a@v.example"));
    REQUIRE_FALSE(result);
    CHECK_FALSE(result.error().permanent());
    CHECK(result.error().dsn() == "4.6.0");
}

TEST_CASE("an expansion that grows without end stops at the expansion limit")
{
    Expansion expansion("virtual_alias_expansion_limit = 10\n"
                        "virtual_alias_maps = pcre:{ { /^x(.*)@v.example$$/ y$$1@v.example, x1$$1@v.example } }\n");
    auto result = expansion.of(mail::Recipient("x@v.example"));
    REQUIRE_FALSE(result);
    CHECK(result.error().dsn() == "4.6.0");
}

TEST_CASE("an extension that matched nothing is passed on")
{
    Expansion expansion("recipient_delimiter = +\nvirtual_alias_maps = inline:{ ann@v.example=bob@else.example }\n");
    CHECK(expansion.text_of("ann+list@v.example") == "bob+list@else.example");
    Expansion without("recipient_delimiter = +\npropagate_unmatched_extensions = canonical\n"
                      "virtual_alias_maps = inline:{ ann@v.example=bob@else.example }\n");
    CHECK(without.text_of("ann+list@v.example") == "bob@else.example");
}

TEST_CASE("a catch-all may move a whole domain")
{
    Expansion expansion("virtual_alias_maps = inline:{ @v.example=@else.example }\n");
    CHECK(expansion.text_of("\"a b\"@v.example") == "\"a b\"@else.example");
}

TEST_CASE("results keep what the recipient came with")
{
    Expansion expansion("virtual_alias_maps = inline:{ { a@v.example = b@v.example, c@v.example } }\n");
    mail::Recipient recipient("a@v.example");
    recipient.original = "A@v.example";
    recipient.orcpt = "rfc822;a@v.example";
    recipient.notify = mail::NotifyFailure;
    auto results = expansion.of(recipient);
    REQUIRE(results);
    REQUIRE(results->size() == 2);
    for (const mail::Recipient& each : *results) {
        CHECK(each.original == "A@v.example");
        CHECK(each.orcpt == "rfc822;a@v.example");
        CHECK(each.notify == mail::NotifyFailure);
    }
}

TEST_CASE("33: an alias of several members is told as expanded, and its members report no success")
{
    Expansion expansion("virtual_alias_maps = inline:{ { a@v.example = b@v.example, c@v.example }, { one@v.example = b@v.example } }\n");
    mail::Recipient recipient("a@v.example");
    recipient.notify = mail::NotifySuccess | mail::NotifyFailure;
    auto results = expansion.of(recipient);
    REQUIRE(results);
    REQUIRE(results->size() == 3);
    CHECK((*results)[0].notify == mail::NotifyFailure);
    CHECK((*results)[1].notify == mail::NotifyFailure);
    CHECK((*results)[2].address == "a@v.example");
    CHECK((*results)[2].notify == (mail::NotifySuccess | mail::NotifyExpanded));
    // Once expanded, it stays: a message that is queued anew passes here again.
    auto again = expansion.of((*results)[2]);
    REQUIRE(again);
    CHECK(again->size() == 1);

    recipient.notify = mail::NotifySuccess;
    results = expansion.of(recipient);
    REQUIRE(results);
    CHECK(results->front().notify == mail::NotifyNever);
    recipient.address = "one@v.example";
    results = expansion.of(recipient);
    REQUIRE(results);
    REQUIRE(results->size() == 1);
    CHECK(results->front().notify == mail::NotifySuccess);
}

TEST_CASE("a table that fails is a temporary error")
{
    Expansion expansion("virtual_alias_maps = fail:x\n");
    auto result = expansion.of(mail::Recipient("a@v.example"));
    REQUIRE_FALSE(result);
    CHECK_FALSE(result.error().permanent());
}
