// PROXY headers: what each says, in whatever pieces it arrives, and what is left for the one who speaks next.
#include "lib/net/proxy_protocol.h"

#include "t/support/catch.h"
#include "t/support/run_task.h"

#include <optional>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::net;
using posthouse::test::run_task;

namespace {

const std::string v2_signature("\r\n\r\n\0\r\nQUIT\n", 12);
const std::string v4_body("\xc0\0\2\1\xc6\x33\x64\1\x12\x67\0\x19", 12); // 192.0.2.1:4711 to 198.51.100.1:25

std::string v2(unsigned char command, unsigned char family, const std::string& body)
{
    const size_t length = body.size();
    return v2_signature + static_cast<char>(command) + static_cast<char>(family) + static_cast<char>(length >> 8)
           + static_cast<char>(length & 0xff) + body;
}

// "192.0.2.1:4711 to 198.51.100.1:25", "own", "unfinished", or the error.
std::string read_whole(const std::string& bytes)
{
    ProxyHeaderParser parser;
    const auto taken = parser.take(bytes);
    if (!taken)
        return taken.error().text();
    if (!parser.done())
        return "unfinished";
    if (parser.header().own_connection)
        return "own";
    return parser.header().source.to_text() + " to " + parser.header().destination.to_text();
}

struct Pair {
    Pair()
    {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        ours = UniqueFd(ends[0]);
        theirs = UniqueFd(ends[1]);
    }
    void send(const std::string& bytes) const
    {
        REQUIRE(::send(theirs.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    }
    UniqueFd ours, theirs;
};

Task<void> send_bytewise(Loop& loop, const Pair& pair, std::string bytes)
{
    for (const char byte : bytes) {
        pair.send(std::string(1, byte));
        co_await sleep_for(loop, Duration::milliseconds(1));
    }
}

} // namespace

TEST_CASE("a header of version 1 names client and server over IPv4 and IPv6")
{
    CHECK(read_whole("PROXY TCP4 192.0.2.1 198.51.100.1 4711 25\r\n") == "192.0.2.1:4711 to 198.51.100.1:25");
    CHECK(read_whole("PROXY TCP6 2001:db8::1 2001:db8::25 4711 25\r\n") == "[2001:db8::1]:4711 to [2001:db8::25]:25");
    CHECK(read_whole("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.1 1 2\r\n") == "192.0.2.1:1 to 198.51.100.1:2");
}

TEST_CASE("a proxy that does not know its client, or speaks for itself, leaves the connection what it is")
{
    CHECK(read_whole("PROXY UNKNOWN\r\n") == "own");
    CHECK(read_whole("PROXY UNKNOWN 192.0.2.1 198.51.100.1 4711 25\r\n") == "own");
    CHECK(read_whole(v2(0x20, 0x00, "")) == "own");
    CHECK(read_whole(v2(0x20, 0x11, v4_body)) == "own");
    CHECK(read_whole(v2(0x21, 0x00, "")) == "own");
}

TEST_CASE("a header of version 1 that breaks the format is refused")
{
    for (const char* line : {"PROXY TCP4 192.0.2.1 198.51.100.1 4711 25\n", "PROXY TCP4 192.0.2.1 198.51.100.1 4711\r\n",
                             "PROXY TCP4  192.0.2.1 198.51.100.1 4711 25\r\n", "PROXY TCP4 192.0.2.1 198.51.100.1 4711 25 \r\n",
                             "PROXY TCP4 192.0.2.1 198.51.100.1 65536 25\r\n", "PROXY TCP4 192.0.2.1 198.51.100.1 025 25\r\n",
                             "PROXY TCP4 2001:db8::1 198.51.100.1 4711 25\r\n", "PROXY TCP4 192.0.2.256 198.51.100.1 4711 25\r\n",
                             "PROXY UDP4 192.0.2.1 198.51.100.1 4711 25\r\n", "PROXY UNKNOWNX\r\n", "PROXY \r\n",
                             "proxy TCP4 192.0.2.1 198.51.100.1 4711 25\r\n", "EHLO client.example\r\n", "\n"}) {
        CAPTURE(line);
        ProxyHeaderParser parser;
        CHECK_FALSE(parser.take(line));
    }
}

TEST_CASE("a line of version 1 has 107 bytes at most")
{
    CHECK(read_whole("PROXY UNKNOWN " + std::string(91, 'x') + "\r\n") == "own");
    ProxyHeaderParser parser;
    CHECK_FALSE(parser.take("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n"));
    ProxyHeaderParser endless;
    CHECK_FALSE(endless.take("PROXY UNKNOWN " + std::string(94, 'x')));
}

TEST_CASE("a header of version 2 names client and server over IPv4 and IPv6")
{
    CHECK(read_whole(v2(0x21, 0x11, v4_body)) == "192.0.2.1:4711 to 198.51.100.1:25");
    const std::string client = std::string("\x20\1\x0d\xb8", 4) + std::string(11, '\0') + '\1';
    const std::string server = std::string("\x20\1\x0d\xb8", 4) + std::string(11, '\0') + '\x25';
    CHECK(read_whole(v2(0x21, 0x21, client + server + std::string("\x12\x67\0\x19", 4)))
          == "[2001:db8::1]:4711 to [2001:db8::25]:25");
}

TEST_CASE("what follows the addresses in a header of version 2 is skipped, up to a limit")
{
    CHECK(read_whole(v2(0x21, 0x11, v4_body + std::string("\3\0\4abcd", 7))) == "192.0.2.1:4711 to 198.51.100.1:25");
    const size_t most = ProxyHeaderParser::longest_v2 - ProxyHeaderParser::fixed_size - v4_body.size();
    CHECK(read_whole(v2(0x21, 0x11, v4_body + std::string(most, 't'))) == "192.0.2.1:4711 to 198.51.100.1:25");
    ProxyHeaderParser parser;
    CHECK_FALSE(parser.take(v2(0x21, 0x11, v4_body + std::string(most + 1, 't'))));
}

TEST_CASE("a header of version 2 that breaks the format is refused")
{
    for (const std::string& header :
         {v2(0x21, 0x11, v4_body.substr(1)), v2(0x21, 0x21, v4_body), v2(0x21, 0x12, v4_body), v2(0x21, 0x31, std::string(216, 'x')),
          v2(0x11, 0x11, v4_body), v2(0x31, 0x11, v4_body), v2(0x22, 0x11, v4_body), std::string("\r\n\r\nEHLO")}) {
        CAPTURE(header);
        ProxyHeaderParser parser;
        CHECK_FALSE(parser.take(header));
    }
}

TEST_CASE("what follows the header stays in the socket for the one who speaks next")
{
    for (const std::string& header : {std::string("PROXY TCP4 192.0.2.1 198.51.100.1 4711 25\r\n"),
                                      v2(0x21, 0x11, v4_body + std::string(700, 't'))}) {
        Loop loop;
        Pair pair;
        pair.send(header + "\x16\3\1 client");
        Socket stream(loop, std::move(pair.ours));
        auto got = run_task(loop, read_proxy_header(stream, Deadline::after(Duration::seconds(5))));
        REQUIRE(got);
        REQUIRE(*got);
        CHECK((*got)->source.to_text() == "192.0.2.1:4711");
        char rest[32];
        CHECK(std::string(rest, static_cast<size_t>(::recv(stream.fd(), rest, sizeof rest, 0))) == "\x16\3\1 client");
    }
}

TEST_CASE("a header may come a byte at a time")
{
    for (const std::string& header : {std::string("PROXY TCP4 192.0.2.1 198.51.100.1 4711 25\r\n"), v2(0x21, 0x11, v4_body)}) {
        Loop loop;
        Pair pair;
        Socket stream(loop, std::move(pair.ours));
        TaskGroup sending(loop);
        sending.spawn(send_bytewise(loop, pair, header));
        auto got = run_task(loop, read_proxy_header(stream, Deadline::after(Duration::seconds(5))));
        REQUIRE(got);
        REQUIRE(*got);
        CHECK((*got)->destination.to_text() == "198.51.100.1:25");
    }
}

TEST_CASE("who says nothing, or not all, is not waited for longer than the deadline")
{
    for (const char* begun : {"", "PROXY TCP4 "}) {
        Loop loop;
        Pair pair;
        pair.send(begun);
        Socket stream(loop, std::move(pair.ours));
        auto got = run_task(loop, read_proxy_header(stream, Deadline::after(Duration::milliseconds(20))));
        REQUIRE_FALSE(got);
        CHECK(got.error().kind() == ErrorKind::TimedOut);
    }
}

TEST_CASE("a connection that ends before its first byte is no error, one that ends within the header is")
{
    for (const char* begun : {"", "PROXY TCP4 "}) {
        Loop loop;
        Pair pair;
        pair.send(begun);
        pair.theirs.reset();
        Socket stream(loop, std::move(pair.ours));
        auto got = run_task(loop, read_proxy_header(stream, Deadline::after(Duration::seconds(5))));
        CHECK(static_cast<bool>(got) == (*begun == '\0'));
        if (got)
            CHECK_FALSE(got->has_value());
        else
            CHECK(got.error().kind() == ErrorKind::Disconnected);
    }
}
