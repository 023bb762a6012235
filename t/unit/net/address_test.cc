#include "lib/net/address.h"
#include "lib/net/hosts_file.h"

#include "t/support/catch.h"

using namespace posthouse::net;

TEST_CASE("IP addresses are parsed strictly and written in their short form")
{
    CHECK(IpAddress::parse("127.0.0.1")->to_text() == "127.0.0.1");
    CHECK(IpAddress::parse("2001:0db8:0::1")->to_text() == "2001:db8::1");
    for (const char* bad : {"", "127.1", "127.0.0.01x", "1.2.3.256", "[::1]", "::1%lo", "IPv6:::1", "1.2.3.4 "})
        CHECK_FALSE(IpAddress::parse(bad));
    CHECK(IpAddress::parse("::ffff:192.0.2.1")->unmapped() == *IpAddress::parse("192.0.2.1"));
    CHECK(IpAddress::parse("127.9.9.9")->is_loopback());
    CHECK(IpAddress::parse("::1")->is_loopback());
    CHECK_FALSE(IpAddress::parse("::2")->is_loopback());
    CHECK(IpAddress::parse("::")->is_unspecified());
}

TEST_CASE("an address reversed is the name to ask for in DNS")
{
    CHECK(IpAddress::parse("192.0.2.1")->reversed() == "1.2.0.192");
    CHECK(IpAddress::parse("2001:db8::1")->reversed() ==
          "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2");
}

TEST_CASE("socket addresses survive the system's form and show as people write them")
{
    for (const char* text : {"127.0.0.1", "2001:db8::1"}) {
        const SocketAddress address(*IpAddress::parse(text), 25);
        sockaddr_storage storage;
        const socklen_t length = address.to_sockaddr(storage);
        CHECK(SocketAddress::from_sockaddr(storage, length) == address);
    }
    CHECK(SocketAddress(*IpAddress::parse("::1"), 25).to_text() == "[::1]:25");
    CHECK(SocketAddress::unix_path("/a/b").to_text() == "unix:/a/b");
    sockaddr_storage storage;
    CHECK(SocketAddress::unix_path(std::string(200, 'x')).to_sockaddr(storage) == 0);
}

TEST_CASE("a network holds its addresses and no others")
{
    const auto net = Cidr::parse("192.0.2.128/25");
    REQUIRE(net);
    CHECK(net->contains(*IpAddress::parse("192.0.2.200")));
    CHECK_FALSE(net->contains(*IpAddress::parse("192.0.2.127")));
    CHECK_FALSE(net->contains(*IpAddress::parse("::1")));
    CHECK(Cidr::parse("0.0.0.0/0")->contains(*IpAddress::parse("8.8.8.8")));
    CHECK(Cidr::parse("[2001:db8::]/33")->contains(*IpAddress::parse("2001:db8:7fff::1")));
    CHECK_FALSE(Cidr::parse("[2001:db8::]/33")->contains(*IpAddress::parse("2001:db8:8000::1")));
    CHECK(Cidr::parse("10.0.0.1")->to_text() == "10.0.0.1/32");
}

TEST_CASE("a network with a slip in it is an error that says what was meant")
{
    CHECK(Cidr::parse("192.0.2.1/24").error().text().find("192.0.2.0/24") != std::string::npos);
    for (const char* bad : {"192.0.2.0/33", "192.0.2/24", "x/8", "10.0.0.0/", "[::1", "::/129", "10.0.0.0/-1"})
        CHECK_FALSE(Cidr::parse(bad));
}

TEST_CASE("the hosts file maps names to addresses and back")
{
    const HostsFile hosts("127.0.0.1 localhost Loop # comment\n::1 localhost\nnonsense here\n10.0.0.1\n");
    REQUIRE(hosts.addresses("localhost"));
    CHECK(hosts.addresses("localhost")->size() == 2);
    CHECK(hosts.addresses("loop"));
    CHECK_FALSE(hosts.addresses("comment"));
    CHECK(*hosts.name(*IpAddress::parse("127.0.0.1")) == "localhost");
}
