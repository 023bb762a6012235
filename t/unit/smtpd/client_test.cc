// Clients: their counters, names and how they are shown.
#include "t/support/catch.h"

#include "smtpd/client.h"
#include "smtpd/client_counters.h"
#include "smtpd/hostname.h"

using namespace posthouse;
using namespace posthouse::smtpd;

namespace {

net::IpAddress ip(const char* text)
{
    return *net::IpAddress::parse(text);
}

} // namespace

TEST_CASE("connections are counted by address prefix while they last")
{
    ClientCounters counters(Duration::seconds(60), 24, 64);
    const Instant now = Instant::from_ns(1000);
    auto first = counters.connect(ip("192.0.2.1"), now);
    {
        auto second = counters.connect(ip("192.0.2.200"), now);
        CHECK(second.connections() == 2);
        auto other = counters.connect(ip("192.0.3.1"), now);
        CHECK(other.connections() == 1);
        auto six = counters.connect(ip("2001:db8::1"), now);
        auto same_six = counters.connect(ip("2001:db8::ffff:1"), now);
        CHECK(same_six.connections() == 2);
    }
    CHECK(first.connections() == 1);
}

TEST_CASE("rates begin anew after the time unit")
{
    ClientCounters counters(Duration::seconds(60), 32, 84);
    const Instant now = Instant::from_ns(1000);
    auto visit = counters.connect(ip("192.0.2.1"), now);
    CHECK(visit.count_message(now) == 1);
    CHECK(visit.count_message(now + Duration::seconds(59)) == 2);
    CHECK(visit.count_message(now + Duration::seconds(60)) == 1);
    CHECK(visit.count_recipient(now + Duration::seconds(60)) == 1);
}

TEST_CASE("a visit that was moved from counts nothing")
{
    ClientCounters counters(Duration::seconds(60), 32, 84);
    auto first = counters.connect(ip("192.0.2.1"), Instant::from_ns(1000));
    auto second = std::move(first);
    CHECK_FALSE(first.counted());
    CHECK(second.connections() == 1);
    second = counters.connect(ip("192.0.2.1"), Instant::from_ns(1000));
    CHECK(second.connections() == 1);
}

TEST_CASE("a client is shown as name[address]")
{
    const Client client(net::SocketAddress(ip("192.0.2.1"), 4711));
    CHECK(client.label() == "unknown[192.0.2.1]");
    CHECK(client.port == "4711");
    CHECK(client.literal() == "192.0.2.1");
    const Client mapped(net::SocketAddress(ip("::ffff:192.0.2.1"), 1));
    CHECK(mapped.label() == "unknown[192.0.2.1]");
    const Client six(net::SocketAddress(ip("2001:db8::1"), 1));
    CHECK(six.label() == "unknown[2001:db8::1]");
    CHECK(six.literal() == "IPv6:2001:db8::1");
    const Client local(net::SocketAddress::unix_path("/x"));
    CHECK(local.label() == "localhost[127.0.0.1]");
}

TEST_CASE("a host name is no number and no address")
{
    CHECK(is_hostname("mail.example.com"));
    CHECK(is_hostname("mail"));
    CHECK(is_hostname("3com.example"));
    CHECK_FALSE(is_hostname("192.0.2.1"));
    CHECK_FALSE(is_hostname("12345"));
    CHECK_FALSE(is_hostname(""));
    CHECK_FALSE(is_hostname("a b"));
    CHECK(is_fqdn("mail.example.com."));
    CHECK_FALSE(is_fqdn("mail"));
    CHECK(is_literal("[192.0.2.1]"));
    CHECK(is_literal("[IPv6:2001:db8::1]"));
    CHECK_FALSE(is_literal("192.0.2.1"));
}
