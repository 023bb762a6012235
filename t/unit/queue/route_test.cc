// Address classes, transports, nexthops, and who exists.
#include "lib/base/file.h"
#include "lib/log/log.h"
#include "lib/queue/route.h"
#include "t/support/catch.h"
#include "t/unit/queue/intake_fixture.h"

#include <cstdlib>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::queue;
using test::Opened;

namespace {

// "class transport nexthop recipient", or the error.
std::string routed(Opened<Router>& router, const std::string& address, const std::string& sender = "s@else.example")
{
    auto route = router.run(router->route(address, sender));
    if (!route)
        return cat("error: ", route.error().full_text());
    return cat(to_text(route->address_class), " | ", route->transport, " | ", route->nexthop, " | ", route->recipient,
               route->sender_routed ? " | routed" : "");
}

std::string checked(Opened<Router>& router, const std::string& address)
{
    auto check = router.run(router->known_recipient(address));
    if (!check)
        return cat("error: ", check.error().full_text());
    if (check->state == RecipientCheck::State::Known)
        return "known";
    return cat(check->code, ' ', check->dsn, ' ', check->text);
}

const std::string classes = "virtual_alias_domains = alias.example\n"
                            "virtual_mailbox_domains = mailbox.example\n"
                            "relay_domains = relay.example\n";

} // namespace

TEST_CASE("each domain has its class, and each class its transport")
{
    Opened<Router> router(classes);
    CHECK(routed(router, "a@ours.example") == "local | local | mx.ours.example | a@ours.example");
    CHECK(routed(router, "a@OURS.Example") == "local | local | mx.ours.example | a@ours.example");
    CHECK(routed(router, "a@mailbox.example") == "virtual mailbox | virtual | mailbox.example | a@mailbox.example");
    CHECK(routed(router, "a@relay.example") == "relay | relay | relay.example | a@relay.example");
    CHECK(routed(router, "a@sub.relay.example") == "relay | relay | sub.relay.example | a@sub.relay.example");
    CHECK(routed(router, "a@else.example") == "default | smtp | else.example | a@else.example");
    CHECK(routed(router, "a@alias.example")
          == "virtual alias | error | 5.1.1 User unknown in virtual alias table | a@alias.example");
}

TEST_CASE("an internationalised domain has its class in whichever form it is listed and written")
{
    Opened<Router> router("mydestination = m\u00fcller.example, xn--bcher-kva.example\n"
                          "virtual_mailbox_domains = caf\u00e9.example\nrelay_domains = xn--strae-oqa.example\n");
    for (const char* domain : {"m\u00fcller.example", "xn--mller-kva.example", "XN--MLLER-KVA.example", "M\u00dcLLER.example",
                               "xn--bcher-kva.example", "b\u00fccher.example"})
        CHECK(routed(router, cat("a@", domain)).starts_with("local | local |"));
    CHECK(routed(router, "a@xn--caf-dma.example").starts_with("virtual mailbox |"));
    CHECK(routed(router, "a@sub.stra\u00dfe.example").starts_with("relay |"));
    CHECK(routed(router, "a@xn--mllerin-n2a.example").starts_with("default |"));
}

TEST_CASE("our own address literals are local, those of others are not")
{
    Opened<Router> router("");
    CHECK(routed(router, "a@[127.0.0.1]").starts_with("local | local |"));
    CHECK(routed(router, "a@[192.0.2.1]") == "default | smtp | [192.0.2.1] | a@[192.0.2.1]");
}

TEST_CASE("routing forms behind our own name are followed, and never trusted elsewhere")
{
    Opened<Router> router(classes);
    CHECK(routed(router, "u%else.example@ours.example") == "default | smtp | else.example | u@else.example");
    CHECK(routed(router, "else.example!u@ours.example") == "default | smtp | else.example | u@else.example");
    CHECK(routed(router, "\"u@else.example\"@ours.example") == "default | smtp | else.example | u@else.example");
    CHECK(routed(router, "u%a.example%ours.example@ours.example") == "default | smtp | a.example | u@a.example");
    CHECK(routed(router, "u%else.example@relay.example")
          == "relay | relay | relay.example | u%else.example@relay.example | routed");
    CHECK(routed(router, "\"u@else.example\"@relay.example").ends_with("| routed"));
    CHECK(routed(router, "u%ours.example@ours.example") == "local | local | mx.ours.example | u@ours.example");
}

TEST_CASE("an address of nothing but operators ends as a local user")
{
    Opened<Router> router("");
    for (const char* address : {"%@ours.example", "!@ours.example", "\"@\"@ours.example", "%%%%!!!@ours.example"})
        CHECK(routed(router, address).find("error") != 0);
    std::string many = "u";
    for (int i = 0; i < 500; ++i)
        many += "%ours.example";
    CHECK(routed(router, many + "@ours.example").starts_with("local |"));
}

TEST_CASE("an impossible domain is an error, not a lookup")
{
    Opened<Router> router("");
    CHECK(routed(router, "u@-bad-.example").find("5.1.3") != std::string::npos);
    CHECK(routed(router, "u@a..example").find("5.1.3") != std::string::npos);
    CHECK(routed(router, "u@a b.example").find("5.1.3") != std::string::npos);
}

TEST_CASE("relayhost takes what is not ours, and a sender's own relay host comes before it")
{
    Opened<Router> router(classes + "relayhost = [hub.example]:587\n"
                                    "sender_dependent_relayhost_maps = inline:{ ann@ours.example=[anns.example],"
                                    " bob@ours.example=DUNNO, <>=[null.example] }\n");
    CHECK(routed(router, "a@else.example") == "default | smtp | [hub.example]:587 | a@else.example");
    CHECK(routed(router, "a@relay.example") == "relay | relay | [hub.example]:587 | a@relay.example");
    CHECK(routed(router, "a@ours.example").starts_with("local | local |"));
    CHECK(routed(router, "a@else.example", "ann@ours.example") == "default | smtp | [anns.example] | a@else.example");
    CHECK(routed(router, "a@else.example", "bob@ours.example") == "default | smtp | [hub.example]:587 | a@else.example");
    CHECK(routed(router, "a@else.example", "") == "default | smtp | [null.example] | a@else.example");
}

TEST_CASE("the null sender's key for its own routes can be chosen")
{
    Opened<Router> router("sender_dependent_relayhost_maps = inline:{ null=[relay.example] }\n"
                          "empty_address_relayhost_maps_lookup_key = null\n"
                          "sender_dependent_default_transport_maps = inline:{ nobody=slow }\n"
                          "empty_address_default_transport_maps_lookup_key = nobody\n");
    CHECK(routed(router, "a@else.example", "") == "default | slow | [relay.example] | a@else.example");
}

TEST_CASE("a sender may have a transport of its own")
{
    Opened<Router> router("sender_dependent_default_transport_maps = inline:{ @ours.example=slow, "
                          "x@ours.example=smtp:[there.example] }\nrelayhost = hub.example\n");
    CHECK(routed(router, "a@else.example", "ann@ours.example") == "default | slow | hub.example | a@else.example");
    CHECK(routed(router, "a@else.example", "x@ours.example") == "default | smtp | [there.example] | a@else.example");
}

TEST_CASE("transport_maps: address, domain, parent domain, and the star, in this order")
{
    Opened<Router> router("recipient_delimiter = +\nrelayhost = hub.example\n"
                          "transport_maps = inline:{ { a@x.example = one:[h1] }, { x.example = two: }, "
                          "{ .x.example = :[h3]:2525 }, { e.example = error:5.7.1 not here }, { * = four:h4 } }\n");
    CHECK(routed(router, "a@x.example") == "default | one | [h1] | a@x.example");
    CHECK(routed(router, "a+ext@x.example") == "default | one | [h1] | a+ext@x.example");
    CHECK(routed(router, "b@x.example") == "default | two | x.example | b@x.example");
    CHECK(routed(router, "b@deep.sub.x.example") == "default | smtp | [h3]:2525 | b@deep.sub.x.example");
    CHECK(routed(router, "b@e.example") == "default | error | 5.7.1 not here | b@e.example");
    CHECK(routed(router, "b@other.example") == "default | four | h4 | b@other.example");
}

TEST_CASE("relocated users are refused with their new address")
{
    Opened<Router> router("relocated_maps = inline:{ gone@ours.example=new@else.example }\n");
    CHECK(routed(router, "gone@ours.example")
          == "local | error | 5.1.6 User has moved to new@else.example | gone@ours.example");
    CHECK(checked(router, "gone@ours.example") == "550 5.1.6 User has moved to new@else.example");
}

TEST_CASE("unknown users are refused with the table's name")
{
    Opened<Router> router(classes + "recipient_delimiter = +\n"
                                    "local_recipient_maps = inline:{ ann=x }\n"
                                    "virtual_mailbox_maps = inline:{ m@mailbox.example=x }\n"
                                    "relay_recipient_maps = inline:{ r@relay.example=x }\n"
                                    "virtual_alias_maps = inline:{ v@alias.example=ann, free@mailbox.example=ann }\n");
    CHECK(checked(router, "ann@ours.example") == "known");
    CHECK(checked(router, "ann+ext@ours.example") == "known");
    CHECK(checked(router, "nobody@ours.example") == "550 5.1.1 User unknown in local recipient table");
    CHECK(checked(router, "m@mailbox.example") == "known");
    CHECK(checked(router, "free@mailbox.example") == "known");
    CHECK(checked(router, "x@mailbox.example") == "550 5.1.1 User unknown in virtual mailbox table");
    CHECK(checked(router, "r@relay.example") == "known");
    CHECK(checked(router, "x@relay.example") == "550 5.1.1 User unknown in relay recipient table");
    CHECK(checked(router, "v@alias.example") == "known");
    CHECK(checked(router, "x@alias.example") == "550 5.1.1 User unknown in virtual alias table");
    CHECK(checked(router, "anybody@else.example") == "known");
}

TEST_CASE("postmaster, the mailer daemon and double-bounce always exist")
{
    Opened<Router> router("local_recipient_maps = inline:{ ann=x }\n");
    CHECK(checked(router, "postmaster@ours.example") == "known");
    CHECK(checked(router, "PostMaster@ours.example") == "known");
    CHECK(checked(router, "mailer-daemon@ours.example") == "known");
    CHECK(checked(router, "double-bounce@ours.example") == "known");
    CHECK(checked(router, "postmasterx@ours.example").starts_with("550"));
}

TEST_CASE("an empty table of recipients accepts everybody")
{
    Opened<Router> router(classes);
    CHECK(checked(router, "x@ours.example") == "known");
    CHECK(checked(router, "x@mailbox.example") == "known");
    CHECK(checked(router, "x@relay.example") == "known");
}

TEST_CASE("a 4xx reject code makes the unknown user temporary")
{
    Opened<Router> router("local_recipient_maps = inline:{ ann=x }\nunknown_local_recipient_reject_code = 450\n"
                          "show_user_unknown_table_name = no\n");
    CHECK(checked(router, "nobody@ours.example") == "450 4.1.1 User unknown");
}

TEST_CASE("a table that fails is a temporary error, never an unknown user")
{
    Opened<Router> router("local_recipient_maps = fail:x\n");
    auto check = router.run(router->known_recipient("ann@ours.example"));
    REQUIRE_FALSE(check);
    CHECK_FALSE(check.error().permanent());
    Opened<Router> other("transport_maps = fail:x\n");
    CHECK(routed(other, "a@else.example").starts_with("error: "));
}

TEST_CASE("a domain of two classes is local, and the administrator is told once")
{
    Opened<Router> router("virtual_mailbox_domains = ours.example\n");
    char name[] = "/tmp/route-test-XXXXXX";
    const int fd = ::mkstemp(name);
    REQUIRE(fd >= 0);
    log::Sink sink;
    sink.to = log::Sink::To::File;
    sink.path = name;
    REQUIRE(log::open(sink));
    for (int i = 0; i < 2; ++i)
        CHECK(routed(router, "a@ours.example").starts_with("local | local |"));
    auto text = read_file(name, 10000);
    REQUIRE(log::open(log::Sink()));
    ::close(fd);
    ::unlink(name);
    REQUIRE(text);
    const size_t first = text->find("do not list domain ours.example in BOTH mydestination and virtual_mailbox_domains");
    CHECK(first != std::string::npos);
    CHECK(text->find("do not list", first + 1) == std::string::npos);
}

TEST_CASE("an address that begins with a hyphen is an error, in quotes too, unless allow_min_user is set")
{
    const std::string refused = " | error | 5.1.3 Bad address syntax: it begins with a hyphen | ";
    Opened<Router> router(classes);
    CHECK(routed(router, "-f@ours.example") == cat("local", refused, "-f@ours.example"));
    CHECK(routed(router, "\"-f x\"@else.example") == cat("default", refused, "\"-f x\"@else.example"));
    CHECK(routed(router, "a-f@else.example") == "default | smtp | else.example | a-f@else.example");
    Opened<Router> lenient(classes + "allow_min_user = yes\n");
    CHECK(routed(lenient, "-f@else.example") == "default | smtp | else.example | -f@else.example");
}

TEST_CASE("a table that cannot be opened fails its lookups, or the start under daemon_table_open_error_is_fatal")
{
    const std::string missing = "transport_maps = texthash:/nowhere/table\n";
    CHECK_NOTHROW(Opened<Router>(missing));
    CHECK_THROWS(Opened<Router>(missing + "daemon_table_open_error_is_fatal = yes\n"));
}
