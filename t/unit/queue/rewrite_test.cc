// Completion, canonical maps, masquerading and header addresses.
#include "lib/queue/address_text.h"
#include "lib/queue/rewrite.h"
#include "t/support/catch.h"
#include "t/unit/queue/intake_fixture.h"

using namespace posthouse;
using namespace posthouse::queue;
using test::Opened;

namespace {

CompletionRules usual_rules()
{
    CompletionRules rules;
    rules.origin = "ours.example";
    rules.domain = "ours.example";
    return rules;
}

std::string rewritten(Opened<Rewriter>& rewriter, const std::string& address, AddressRole role)
{
    auto result = rewriter.run(rewriter->rewrite(address, role));
    return result ? *result : cat("error: ", result.error().full_text());
}

std::string header(Opened<Rewriter>& rewriter, const std::string& name, const std::string& body,
                   RewriteContext context = RewriteContext::Local, AddressMappings mappings = AddressMappings::Apply)
{
    auto result = rewriter.run(rewriter->rewrite_header(name, body, context, mappings));
    if (!result)
        return cat("error: ", result.error().full_text());
    return result->value_or("unchanged");
}

} // namespace

TEST_CASE("an address without a domain gets the origin")
{
    const CompletionRules rules = usual_rules();
    CHECK(complete_address("ann", rules) == "ann@ours.example");
    CHECK(complete_address("\"ann b\"", rules) == "\"ann b\"@ours.example");
    CHECK(complete_address("ann@", rules) == "ann@ours.example");
    CHECK(complete_address("ann@else.example", rules) == "ann@else.example");
    CHECK(complete_address("", rules).empty());
    CompletionRules without = rules;
    without.append_at_origin = false;
    CHECK(complete_address("ann", without) == "ann");
}

TEST_CASE("a source route is taken off")
{
    CHECK(complete_address("@a.example,@b.example:u@c.example", usual_rules()) == "u@c.example");
}

TEST_CASE("bang and percent forms become addresses only when there is no domain")
{
    CompletionRules rules = usual_rules();
    CHECK(complete_address("there!ann", rules) == "ann@there");
    CHECK(complete_address("a!b!ann", rules) == "b!ann@a");
    CHECK(complete_address("ann%there", rules) == "ann@there");
    CHECK(complete_address("ann%a%b", rules) == "ann%a@b");
    CHECK(complete_address("ann%a@b.example", rules) == "ann%a@b.example");
    CHECK(complete_address("\"ann%a\"", rules) == "\"ann%a\"@ours.example");
    rules.percent_hack = false;
    rules.swap_bangpath = false;
    CHECK(complete_address("ann%there", rules) == "ann%there@ours.example");
    CHECK(complete_address("there!ann", rules) == "there!ann@ours.example");
}

TEST_CASE("a domain without a dot gets mydomain only when asked for")
{
    CompletionRules rules = usual_rules();
    CHECK(complete_address("ann@host", rules) == "ann@host");
    rules.append_dot_domain = true;
    CHECK(complete_address("ann@host", rules) == "ann@host.ours.example");
    CHECK(complete_address("ann@[192.0.2.1]", rules) == "ann@[192.0.2.1]");
    CHECK(complete_address("ann@a.b", rules) == "ann@a.b");
}

TEST_CASE("one dot at the end of a domain is taken off")
{
    CHECK(complete_address("ann@else.example.", usual_rules()) == "ann@else.example");
    CHECK(complete_address("ann@else..", usual_rules()) == "ann@else..");
}

TEST_CASE("the @ inside of a quoted local part is no separator")
{
    CHECK(AddressParts("\"a@b\"@c.example").domain == "c.example");
    CHECK_FALSE(AddressParts("\"a@b\"").has_separator);
    CHECK(AddressParts("\"a\\\"@b\"@c").domain == "c");
}

TEST_CASE("lists are cut at commas outside of quotes")
{
    CHECK(split_address_list(" a@b , <c@d>,, \"x,y\"@e ") == std::vector<std::string>{"a@b", "c@d", "\"x,y\"@e"});
    CHECK(split_address_list("").empty());
    CHECK(split_address_list("a@b c@d\t(x y) \"e f\"@g") == std::vector<std::string>{"a@b", "c@d", "\"e f\"@g"});
}

TEST_CASE("sender_canonical_maps come first, then canonical_maps, and both may rewrite")
{
    Opened<Rewriter> rewriter("sender_canonical_maps = inline:{ ann=first@ours.example }\n"
                              "canonical_maps = inline:{ first=second@ours.example, bob=robert }\n");
    CHECK(rewritten(rewriter, "ann", AddressRole::EnvelopeSender) == "second@ours.example");
    CHECK(rewritten(rewriter, "ann", AddressRole::EnvelopeRecipient) == "ann@ours.example");
    CHECK(rewritten(rewriter, "bob@ours.example", AddressRole::HeaderRecipient) == "robert@ours.example");
    CHECK(rewritten(rewriter, "bob@else.example", AddressRole::EnvelopeSender) == "bob@else.example");
    CHECK(rewritten(rewriter, "", AddressRole::EnvelopeSender).empty());
}

TEST_CASE("the class lists say which addresses a canonical map is for")
{
    Opened<Rewriter> rewriter("canonical_maps = inline:{ ann=other }\ncanonical_classes = envelope_sender\n");
    CHECK(rewritten(rewriter, "ann", AddressRole::EnvelopeSender) == "other@ours.example");
    CHECK(rewritten(rewriter, "ann", AddressRole::HeaderSender) == "ann@ours.example");
}

TEST_CASE("a canonical map keeps the extension and may move a whole domain")
{
    Opened<Rewriter> rewriter("recipient_delimiter = +\n"
                              "canonical_maps = inline:{ ann=other, @old.example=@new.example }\n");
    CHECK(rewritten(rewriter, "ann+list@ours.example", AddressRole::EnvelopeRecipient) == "other+list@ours.example");
    CHECK(rewritten(rewriter, "\"a b\"@old.example", AddressRole::EnvelopeRecipient) == "\"a b\"@new.example");
}

TEST_CASE("a canonical map that turns in a circle ends")
{
    Opened<Rewriter> rewriter("canonical_maps = inline:{ a=b, b=a }\n");
    CHECK(rewritten(rewriter, "a", AddressRole::EnvelopeSender) == "a@ours.example");
}

TEST_CASE("a table failure is an error, not an unchanged address")
{
    Opened<Rewriter> rewriter("canonical_maps = fail:broken\n");
    auto result = rewriter.run(rewriter->rewrite("ann", AddressRole::EnvelopeSender));
    REQUIRE_FALSE(result);
    CHECK_FALSE(result.error().permanent());
}

TEST_CASE("masquerading takes host names off, except for the named users and hosts")
{
    Opened<Rewriter> rewriter("masquerade_domains = !keep.ours.example ours.example\n"
                              "masquerade_exceptions = root\n");
    CHECK(rewritten(rewriter, "ann@host.ours.example", AddressRole::EnvelopeSender) == "ann@ours.example");
    CHECK(rewritten(rewriter, "ann@a.keep.ours.example", AddressRole::EnvelopeSender) == "ann@a.keep.ours.example");
    CHECK(rewritten(rewriter, "ann@keep.ours.example", AddressRole::EnvelopeSender) == "ann@keep.ours.example");
    CHECK(rewritten(rewriter, "root@host.ours.example", AddressRole::EnvelopeSender) == "root@host.ours.example");
    CHECK(rewritten(rewriter, "ann@notours.example", AddressRole::EnvelopeSender) == "ann@notours.example");
    // Not by default: mail to a host in there would not reach it any more.
    CHECK(rewritten(rewriter, "ann@host.ours.example", AddressRole::EnvelopeRecipient) == "ann@host.ours.example");
}

TEST_CASE("masquerade_classes say which addresses lose their host names")
{
    Opened<Rewriter> rewriter("masquerade_domains = ours.example\nmasquerade_classes = envelope_recipient, header_sender\n");
    CHECK(rewritten(rewriter, "ann@host.ours.example", AddressRole::EnvelopeRecipient) == "ann@ours.example");
    CHECK(rewritten(rewriter, "ann@host.ours.example", AddressRole::EnvelopeSender) == "ann@host.ours.example");
    CHECK(header(rewriter, "From", " ann@host.ours.example") == " ann@ours.example");
    CHECK(header(rewriter, "To", " ann@host.ours.example") == "unchanged");
}

TEST_CASE("header addresses are replaced in place, with names, comments and folds kept")
{
    Opened<Rewriter> rewriter("canonical_maps = inline:{ ann=ann.b@ours.example }\n");
    CHECK(header(rewriter, "To", " Ann <ann>, (the other) bob,\r\n\tc@else.example")
          == " Ann <ann.b@ours.example>, (the other) bob@ours.example,\r\n\tc@else.example");
    CHECK(header(rewriter, "Cc", " c@else.example") == "unchanged");
    CHECK(header(rewriter, "Subject", " ann") == "unchanged");
    CHECK(header(rewriter, "Resent-To", " ann") == " ann.b@ours.example");
    CHECK(header(rewriter, "To", " ann", RewriteContext::Local, AddressMappings::Skip) == " ann@ours.example");
}

TEST_CASE("header addresses from strangers stay, unless a domain is set for them")
{
    Opened<Rewriter> closed("");
    CHECK_FALSE(closed->rewrites_headers(RewriteContext::Remote));
    CHECK(header(closed, "To", " ann", RewriteContext::Remote) == "unchanged");
    Opened<Rewriter> open("remote_header_rewrite_domain = domain.invalid\n");
    CHECK(header(open, "To", " ann", RewriteContext::Remote) == " ann@domain.invalid");
}

TEST_CASE("clients at this host's addresses are local, others are not")
{
    Opened<LocalClients> clients("");
    const auto of = [&](const char* ip, bool authenticated) {
        auto context = clients.run(clients->context_for("name.example", *net::IpAddress::parse(ip), authenticated));
        REQUIRE(context);
        return *context;
    };
    CHECK(of("127.0.0.1", false) == RewriteContext::Local);
    CHECK(of("192.0.2.1", true) == RewriteContext::Remote);
    Opened<LocalClients> more("local_header_rewrite_clients = permit_mynetworks permit_sasl_authenticated\n"
                              "mynetworks = 192.0.2.0/24\n");
    auto inside = more.run(more->context_for("x", *net::IpAddress::parse("192.0.2.9"), false));
    REQUIRE(inside);
    CHECK(*inside == RewriteContext::Local);
    auto outside = more.run(more->context_for("x", *net::IpAddress::parse("198.51.100.9"), true));
    REQUIRE(outside);
    CHECK(*outside == RewriteContext::Local);
}
