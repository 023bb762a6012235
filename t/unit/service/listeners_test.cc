// Which sockets an entry of master.cf means.
#include "lib/net/address.h"
#include "lib/net/socket.h"
#include "lib/service/listeners.h"
#include "t/unit/master/fixture.h"

#include <sys/stat.h>

using namespace posthouse;

namespace {

std::unique_ptr<config::Config> make_config(const std::string& text)
{
    std::vector<config::Fault> faults;
    auto made = config::Config::parse(text, config::Overrides(), faults);
    REQUIRE(made);
    return std::move(*made);
}

config::Service inet(const std::string& name)
{
    config::Service service;
    service.name = name;
    service.type = config::ServiceType::Inet;
    service.line = 7;
    return service;
}

std::string free_port()
{
    auto socket = net::listen_tcp(net::SocketAddress(*net::IpAddress::parse("127.0.0.1"), 0), 1);
    REQUIRE(socket);
    return std::to_string(net::SocketAddress::local_of(socket->get()).port);
}

} // namespace

TEST_CASE("a bare port is opened on each address of inet_interfaces that inet_protocols allows")
{
    const auto config = make_config("inet_interfaces = 127.0.0.1, 127.0.0.2, ::1\ninet_protocols = ipv4\n");
    const std::string port = free_port();
    auto sockets = service::open_listeners(inet(port), *config);
    REQUIRE(sockets);
    REQUIRE(sockets->size() == 2);
    CHECK(net::SocketAddress::local_of((*sockets)[0].get()).to_text() == "127.0.0.1:" + port);
    CHECK(net::SocketAddress::local_of((*sockets)[1].get()).to_text() == "127.0.0.2:" + port);
}

TEST_CASE("an address before the port takes the place of inet_interfaces")
{
    const auto config = make_config("inet_interfaces = 127.0.0.1\n");
    const std::string port = free_port();
    auto sockets = service::open_listeners(inet("127.0.0.3:" + port), *config);
    REQUIRE(sockets);
    REQUIRE(sockets->size() == 1);
    CHECK(net::SocketAddress::local_of((*sockets)[0].get()).to_text() == "127.0.0.3:" + port);
}

TEST_CASE("a port that is taken is an error with the entry's line and the address")
{
    const auto config = make_config("inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n");
    const std::string port = free_port();
    auto first = service::open_listeners(inet(port), *config);
    REQUIRE(first);
    auto second = service::open_listeners(inet(port), *config);
    REQUIRE_FALSE(second);
    const std::string text = second.error().full_text();
    CHECK(text.find("line 7") != std::string::npos);
    CHECK(text.find("127.0.0.1:" + port) != std::string::npos);
}

TEST_CASE("a port that nobody knows is an error, not another port")
{
    const auto config = make_config("inet_interfaces = 127.0.0.1\n");
    for (const char* name : {"no-such-service", "70000", "0", "127.0.0.1:"})
        CHECK_FALSE(service::open_listeners(inet(name), *config));
}

TEST_CASE("a unix service replaces the socket of an earlier run, but no file")
{
    const test::Folder folder;
    std::filesystem::create_directory(folder.file("private"));
    const auto config = make_config("queue_directory = " + folder.path + "\n");
    config::Service service;
    service.name = "relay";
    {
        auto first = service::open_listeners(service, *config);
        REQUIRE(first);
    }
    REQUIRE(std::filesystem::is_socket(folder.file("private/relay")));
    CHECK(service::open_listeners(service, *config));
    std::filesystem::remove(folder.file("private/relay"));
    std::ofstream(folder.file("private/relay")) << "somebody's notes";
    CHECK_FALSE(service::open_listeners(service, *config));
    CHECK(folder.read("private/relay") == "somebody's notes");
}

TEST_CASE("qmgr is reached in private/ by those who bring mail, and in public/ by the operator")
{
    const test::Folder folder;
    std::filesystem::create_directory(folder.file("private"));
    std::filesystem::create_directory(folder.file("public"));
    const auto config = make_config("queue_directory = " + folder.path + "\n");
    config::Service service;
    service.name = service.program = "qmgr";
    service.private_ = false;
    auto sockets = service::open_listeners(service, *config);
    REQUIRE(sockets);
    REQUIRE(sockets->size() == 2);
    CHECK(net::SocketAddress::local_of((*sockets)[0].get()).path == folder.file("public/qmgr"));
    CHECK(net::SocketAddress::local_of((*sockets)[1].get()).path == folder.file("private/qmgr"));
}
