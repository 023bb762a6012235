#include "lib/net/socket.h"

#include "t/support/catch.h"
#include "t/support/run_task.h"

#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

using namespace posthouse;
using namespace posthouse::net;

namespace {
const IpAddress loopback = *IpAddress::parse("127.0.0.1");
} // namespace

TEST_CASE("a connection reaches a listening socket from the address that was asked for")
{
    Loop loop;
    auto listener = listen_tcp(SocketAddress(loopback, 0), 5);
    REQUIRE(listener);
    const SocketAddress at = SocketAddress::local_of(listener->get());
    auto connected = test::run_task(loop, connect_to(loop, at, IpAddress::parse("127.0.0.2"),
                                                     Deadline::after(Duration::seconds(5))));
    REQUIRE(connected);
    CHECK(SocketAddress::local_of(connected->get()).ip.to_text() == "127.0.0.2");
    CHECK(SocketAddress::peer_of(connected->get()) == at);
}

TEST_CASE("the window is that of an accepted connection and of one that was made, and 0 leaves it to the system")
{
    Loop loop;
    const auto buffers = [](const UniqueFd& fd) {
        int sizes[2] = {};
        socklen_t length = sizeof sizes[0];
        REQUIRE(::getsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &sizes[0], &length) == 0);
        REQUIRE(::getsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &sizes[1], &length) == 0);
        return std::pair(sizes[0], sizes[1]);
    };
    constexpr int window = 16384;
    const std::pair wanted(2 * window, 2 * window); // Linux counts its own needs too: socket(7)
    for (const int size : {window, 0}) {
        const auto listener = listen_tcp(SocketAddress(loopback, 0), 5, size);
        REQUIRE(listener);
        const auto connected = test::run_task(loop, connect_to(loop, SocketAddress::local_of(listener->get()), std::nullopt,
                                                               Deadline::after(Duration::seconds(5)), size));
        REQUIRE(connected);
        const UniqueFd accepted(::accept(listener->get(), nullptr, nullptr));
        REQUIRE(accepted);
        CHECK((buffers(accepted) == wanted) == (size == window));
        CHECK((buffers(*connected) == wanted) == (size == window));
    }
}

TEST_CASE("an accepted connection has its options from the listener")
{
    Loop loop;
    const auto listener = listen_tcp(SocketAddress(loopback, 0), 5);
    REQUIRE(listener);
    const auto connected = test::run_task(loop, connect_to(loop, SocketAddress::local_of(listener->get()), std::nullopt,
                                                           Deadline::after(Duration::seconds(5))));
    REQUIRE(connected);
    const UniqueFd accepted(::accept(listener->get(), nullptr, nullptr));
    REQUIRE(accepted);
    struct Option {
        int level, name;
    };
    for (const Option& option : {Option{IPPROTO_TCP, TCP_NODELAY}, Option{SOL_SOCKET, SO_KEEPALIVE}}) {
        int value = 0;
        socklen_t size = sizeof value;
        REQUIRE(::getsockopt(accepted.get(), option.level, option.name, &value, &size) == 0);
        CHECK(value != 0);
    }
}

TEST_CASE("a refused connection and a silent host are errors with their reason")
{
    Loop loop;
    SocketAddress closed;
    {
        auto listener = listen_tcp(SocketAddress(loopback, 0), 5);
        closed = SocketAddress::local_of(listener->get());
    }
    auto refused = test::run_task(loop, connect_to(loop, closed, std::nullopt, Deadline::never()));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text().find("Connection refused") != std::string::npos);

    // A backlog of one that is full: the kernel answers no further SYN.
    auto full = listen_tcp(SocketAddress(loopback, 0), 0);
    const SocketAddress at = SocketAddress::local_of(full->get());
    std::vector<UniqueFd> waiting;
    bool timed_out = false;
    for (int i = 0; i < 10 && !timed_out; ++i) {
        auto result = test::run_task(loop, connect_to(loop, at, std::nullopt,
                                                      Deadline::after(Duration::milliseconds(100))));
        if (result)
            waiting.push_back(std::move(*result));
        else
            timed_out = result.error().kind() == ErrorKind::TimedOut;
    }
    CHECK(timed_out);
}

TEST_CASE("a UNIX listener has its mode from the start, whatever the umask, and leaves the umask alone")
{
    char name[] = "/tmp/posthouse-socket-XXXXXX";
    const std::string directory = ::mkdtemp(name);
    const std::string path = directory + "/s";
    const mode_t before = ::umask(077);
    auto listener = listen_unix(path, 0666, 5);
    CHECK(::umask(before) == 077);
    REQUIRE(listener);
    struct stat named;
    struct stat opened;
    REQUIRE(::stat(path.c_str(), &named) == 0);
    CHECK((named.st_mode & 0777) == 0666);
    REQUIRE(::fstat(listener->get(), &opened) == 0);
    CHECK((opened.st_mode & 0777) == 0666); // set on the socket itself, not by its name
    std::filesystem::remove_all(directory);
}

TEST_CASE("a UNIX listener replaces an old socket but no other file")
{
    char name[] = "/tmp/posthouse-socket-XXXXXX";
    const std::string directory = ::mkdtemp(name);
    const std::string path = directory + "/s";
    Loop loop;
    REQUIRE(listen_unix(path, 0600, 5));
    auto listener = listen_unix(path, 0622, 5);
    REQUIRE(listener);
    struct stat status;
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0622);
    CHECK(test::run_task(loop, connect_to(loop, SocketAddress::unix_path(path), std::nullopt, Deadline::never())));
    std::ofstream(directory + "/file") << "x";
    CHECK_FALSE(listen_unix(directory + "/file", 0600, 5));
    CHECK_FALSE(listen_unix(directory + "/" + std::string(200, 'x'), 0600, 5));
    std::filesystem::remove_all(directory);
}
