// What main.cf may say of a filter before the queue.
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "smtpd/proxy_filter.h"
#include "t/support/catch.h"

#include <string>
#include <vector>

using namespace posthouse;
using smtpd::ProxySettings;

namespace {

std::string parsed(std::string_view text)
{
    auto address = ProxySettings::parse_address(text);
    return address ? address->to_text() : "bad";
}

Result<std::unique_ptr<ProxySettings>> settings(const std::string& main_cf)
{
    std::vector<config::Fault> faults;
    auto config = config::Config::parse("myhostname = mx.ours.example\n" + main_cf, config::Overrides(), faults);
    REQUIRE(config);
    return ProxySettings::open(**config);
}

} // namespace

TEST_CASE("A proxy filter is a host and port, a port of this host, or a socket")
{
    CHECK(parsed("filter.example:10025") == "inet:filter.example:10025");
    CHECK(parsed("[::1]:10025") == "inet:::1:10025");
    CHECK(parsed("inet:127.0.0.1:10025") == "inet:127.0.0.1:10025");
    CHECK(parsed("10025") == "inet:127.0.0.1:10025");
    CHECK(parsed(":10025") == "inet:127.0.0.1:10025");
    CHECK(parsed("unix:private/filter") == "private/filter");
    for (const char* text : {"filter.example", "filter:port", "127.0.0.1:0", "unix:", "host:99999"})
        CHECK(parsed(text) == "bad");
}

TEST_CASE("Settings of a proxy filter are read, and faults in them are told")
{
    auto none = settings("");
    REQUIRE(none);
    CHECK_FALSE(*none);
    auto some = settings("smtpd_proxy_filter = 10025\nsmtpd_proxy_timeout = 7s\nsmtpd_proxy_options = speed_adjust\n");
    REQUIRE(some);
    CHECK((*some)->ehlo == "mx.ours.example");
    CHECK((*some)->timeout == Duration::seconds(7));
    CHECK((*some)->speed_adjust);
    CHECK_FALSE(settings("smtpd_proxy_filter = nowhere\n"));
    CHECK_FALSE(settings("smtpd_proxy_filter = 10025\nsmtpd_proxy_options = faster\n"));
}
