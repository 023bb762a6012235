// Finding the hosts of a next hop.
#include "smtp/host_search.h"
#include "t/support/catch.h"
#include "t/support/run_task.h"
#include "t/unit/delivery/peer.h"

#include <set>

using namespace posthouse;
using namespace posthouse::smtp_client;
using test::FakeNames;
using State = net::Answer::State;

namespace {

Result<std::vector<MailHost>> find(const std::string& text, FakeNames& names, const Settings& settings = Settings())
{
    static Loop loop;
    const auto destination = parse_destination(text, settings.lmtp, settings.port);
    REQUIRE(destination);
    return test::run_task(loop, find_hosts(*destination, names, settings));
}

std::vector<std::string> names_of(const Result<std::vector<MailHost>>& hosts)
{
    std::vector<std::string> names;
    if (hosts)
        for (const MailHost& host : *hosts)
            names.push_back(host.name);
    return names;
}

Settings own(const std::string& address)
{
    Settings settings;
    settings.own_addresses = queue::OwnAddresses({*net::IpAddress::parse(address)});
    return settings;
}

using Names = std::vector<std::string>;

} // namespace

TEST_CASE("a next hop is a domain, a host in brackets with or without port, or a socket for LMTP")
{
    auto destination = parse_destination("example.com", false, 25);
    REQUIRE(destination);
    CHECK(destination->kind == Destination::Kind::Domain);
    CHECK(destination->port == 25);
    CHECK(destination->default_port);
    destination = parse_destination("[mx.example.com]:submission", false, 25);
    REQUIRE(destination);
    CHECK(destination->kind == Destination::Kind::Host);
    CHECK(destination->name == "mx.example.com");
    CHECK(destination->port == 587);
    destination = parse_destination("[2001:db8::1]:2525", false, 25);
    REQUIRE(destination);
    CHECK(destination->name == "2001:db8::1");
    CHECK(destination->port == 2525);
    destination = parse_destination("[IPv6:2001:db8::1]", false, 25);
    REQUIRE(destination);
    CHECK(destination->name == "2001:db8::1");
    destination = parse_destination("unix:private/lmtp", true, 24);
    REQUIRE(destination);
    CHECK(destination->kind == Destination::Kind::UnixSocket);
    CHECK(destination->name == "private/lmtp");
    destination = parse_destination("inet:host:2003", true, 24);
    REQUIRE(destination);
    CHECK(destination->kind == Destination::Kind::Host);
    for (const char* bad : {"", "[a", "[a]x", "a:", "a:99999", "a:0", "[]", ":25"})
        CHECK_FALSE(parse_destination(bad, false, 25));
    CHECK(parse_destinations("a.example, [b.example]:26", false, 25)->size() == 2);
}

TEST_CASE("MX hosts are tried in the order of their preference")
{
    FakeNames names;
    names.add_mx("example.com", 20, "b.example");
    names.add_mx("example.com", 10, "a.example");
    names.add_address("a.example", "192.0.2.1");
    names.add_address("b.example", "192.0.2.2");
    CHECK(names_of(find("example.com", names)) == Names{"a.example", "b.example"});
}

TEST_CASE("hosts of equal preference come in random order, and the better ones stay first")
{
    FakeNames names;
    names.add_mx("example.com", 5, "first.example");
    names.add_address("first.example", "192.0.2.9");
    for (const char* host : {"a.example", "b.example", "c.example"})
        names.add_mx("example.com", 10, host);
    names.add_address("a.example", "192.0.2.1");
    names.add_address("b.example", "192.0.2.2");
    names.add_address("c.example", "192.0.2.3");
    std::set<Names> orders;
    for (int i = 0; i < 200; ++i) {
        const Names order = names_of(find("example.com", names));
        REQUIRE(order.size() == 4);
        CHECK(order[0] == "first.example");
        orders.insert(order);
    }
    CHECK(orders.size() == 6);
    Settings settings;
    settings.randomize = false;
    CHECK(names_of(find("example.com", names, settings)) == Names{"first.example", "a.example", "b.example", "c.example"});
}

TEST_CASE("a domain without MX is its own mail host")
{
    FakeNames names;
    names.fail_mx("example.com", State::NoData);
    names.add_address("example.com", "192.0.2.1");
    CHECK(names_of(find("example.com", names)) == Names{"example.com"});
}

TEST_CASE("a null MX refuses mail at once with 5.1.0")
{
    FakeNames names;
    names.add_mx("example.com", 0, "");
    const auto hosts = find("example.com", names);
    REQUIRE_FALSE(hosts);
    CHECK(hosts.error().permanent());
    CHECK(hosts.error().dsn() == "5.1.0");
    names.add_mx("example.com", 10, "a.example");
    names.add_address("a.example", "192.0.2.1");
    CHECK(names_of(find("example.com", names)) == Names{"a.example"});
}

TEST_CASE("our own address ends the list, with all of its preference and worse")
{
    FakeNames names;
    names.add_mx("example.com", 10, "a.example");
    names.add_mx("example.com", 20, "b.example");
    names.add_mx("example.com", 20, "self.example");
    names.add_mx("example.com", 30, "c.example");
    names.add_address("a.example", "192.0.2.1");
    names.add_address("b.example", "192.0.2.2");
    names.add_address("self.example", "192.0.2.77");
    names.add_address("c.example", "192.0.2.3");
    CHECK(names_of(find("example.com", names, own("192.0.2.77"))) == Names{"a.example"});
    Settings settings;
    settings.hostname = "self.example";
    CHECK(names_of(find("example.com", names, settings)) == Names{"a.example"});
}

TEST_CASE("mail whose best host is this one loops back: 5.4.6")
{
    FakeNames names;
    names.add_mx("example.com", 10, "self.example");
    names.add_mx("example.com", 20, "b.example");
    names.add_address("self.example", "192.0.2.77");
    names.add_address("b.example", "192.0.2.2");
    auto hosts = find("example.com", names, own("192.0.2.77"));
    REQUIRE_FALSE(hosts);
    CHECK(hosts.error().permanent());
    CHECK(hosts.error().dsn() == "5.4.6");
    CHECK(hosts.error().text() == "mail for example.com loops back to myself");
    CHECK_FALSE(find("[192.0.2.77]", names, own("192.0.2.77")));
    CHECK(find("[192.0.2.77]:2525", names, own("192.0.2.77"))); // another server on this machine
    CHECK(find("example.com:2525", names, own("192.0.2.77")));
}

TEST_CASE("a domain that does not exist is final, one that cannot be looked up is not")
{
    FakeNames names;
    auto hosts = find("nowhere.example", names);
    REQUIRE_FALSE(hosts);
    CHECK(hosts.error().permanent());
    CHECK(hosts.error().dsn() == "5.4.4");
    names.fail_mx("example.com", State::Temporary);
    hosts = find("example.com", names);
    REQUIRE_FALSE(hosts);
    CHECK_FALSE(hosts.error().permanent());
    CHECK(hosts.error().dsn() == "4.4.3");
}

TEST_CASE("with ignore_mx_lookup_error a domain whose MX cannot be looked up is its own mail host")
{
    FakeNames names;
    names.fail_mx("example.com", State::Temporary);
    names.add_address("example.com", "192.0.2.1");
    CHECK_FALSE(find("example.com", names));
    Settings settings;
    settings.ignore_mx_error = true;
    CHECK(names_of(find("example.com", names, settings)) == Names{"example.com"});
    const auto nowhere = find("nowhere.example", names, settings);
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().permanent());
}

TEST_CASE("with disable_dns_lookups a domain is a host, and no MX is asked for")
{
    FakeNames names;
    names.add_mx("example.com", 10, "mx.example.com");
    names.add_address("mx.example.com", "192.0.2.2");
    names.add_address("example.com", "192.0.2.1");
    Settings settings;
    settings.use_mx = false;
    CHECK(names_of(find("example.com", names, settings)) == Names{"example.com"});
}

TEST_CASE("MX hosts without addresses fail by the kind of error: temporary when any is")
{
    FakeNames names;
    names.add_mx("example.com", 10, "gone.example");
    names.add_mx("example.com", 20, "unknown.example");
    auto hosts = find("example.com", names);
    REQUIRE_FALSE(hosts);
    CHECK(hosts.error().permanent());
    Settings settings;
    settings.defer_if_no_mx_address = true;
    hosts = find("example.com", names, settings);
    REQUIRE_FALSE(hosts);
    CHECK_FALSE(hosts.error().permanent());
    names.fail_address("gone.example", State::Temporary);
    hosts = find("example.com", names);
    REQUIRE_FALSE(hosts);
    CHECK_FALSE(hosts.error().permanent());
}

TEST_CASE("both address families keep a place among the addresses that are tried")
{
    FakeNames names;
    names.fail_mx("example.com", State::NoData);
    for (int i = 1; i <= 8; ++i)
        names.add_address("example.com", cat("2001:db8::", i));
    for (int i = 1; i <= 8; ++i)
        names.add_address("example.com", cat("192.0.2.", i));
    const auto hosts = find("example.com", names);
    REQUIRE(hosts);
    REQUIRE(hosts->size() == 5);
    const auto v4 = std::count_if(hosts->begin(), hosts->end(), [](const auto& host) { return host.address.ip.v4(); });
    CHECK((v4 == 2 || v4 == 3));
}

TEST_CASE("a family that has few addresses leaves its places to the other")
{
    std::vector<MailHost> hosts;
    for (int i = 1; i <= 8; ++i)
        hosts.push_back(MailHost("a", net::SocketAddress(*net::IpAddress::parse(cat("192.0.2.", i)), 25), 0));
    hosts.push_back(MailHost("a", net::SocketAddress(*net::IpAddress::parse("2001:db8::1"), 25), 0));
    keep_balanced(hosts, 5);
    REQUIRE(hosts.size() == 5);
    CHECK_FALSE(hosts.back().address.ip.v4());
}

TEST_CASE("address_preference orders equal hosts by family, and inet_protocols leaves one out")
{
    FakeNames names;
    names.fail_mx("example.com", State::NoData);
    names.add_address("example.com", "2001:db8::1");
    names.add_address("example.com", "192.0.2.1");
    Settings settings;
    settings.preference = AddressPreference::V4;
    for (int i = 0; i < 20; ++i)
        CHECK(find("example.com", names, settings)->front().address.ip.v4());
    settings.preference = AddressPreference::V6;
    for (int i = 0; i < 20; ++i)
        CHECK_FALSE(find("example.com", names, settings)->front().address.ip.v4());
    settings.use_v6 = false;
    REQUIRE(find("example.com", names, settings)->size() == 1);
    CHECK(find("example.com", names, settings)->front().address.ip.v4());
}

TEST_CASE("a domain in other letters is looked up by its A-labels")
{
    FakeNames names;
    names.fail_mx("xn--bcher-kva.example", State::NoData);
    names.add_address("xn--bcher-kva.example", "192.0.2.1");
    CHECK(find("b\xc3\xbc" "cher.example", names));
}
