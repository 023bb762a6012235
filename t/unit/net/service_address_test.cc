#include "lib/net/service_address.h"

#include "t/support/catch.h"

#include <string>

using namespace posthouse;
using namespace posthouse::net;

TEST_CASE("a service is a unix: path, or inet: with a name or an address and a port")
{
    CHECK(ServiceAddress::parse("unix:private/auth")->path == "private/auth");
    CHECK(ServiceAddress::parse("unix:/run/auth")->path == "/run/auth");
    CHECK(ServiceAddress::parse("inet:dovecot:10001")->host == "dovecot");
    CHECK(ServiceAddress::parse("inet:[::1]:10001")->host == "::1");
    CHECK(ServiceAddress::parse("inet:127.0.0.1:10001")->port == 10001);
}

TEST_CASE("what is no address of a service is told with what was expected")
{
    for (const std::string& bad : {std::string(""), std::string("unix:"), std::string("private/auth"), std::string("inet:host"),
                                   std::string("inet:host:0"), std::string("inet:host:65536"), std::string("inet::25"),
                                   std::string("unix:") + std::string(200, 'x')}) {
        auto address = ServiceAddress::parse(bad);
        REQUIRE_FALSE(address);
        CHECK(address.error().full_text().find("expected unix:path or inet:host:port") != std::string::npos);
    }
}
