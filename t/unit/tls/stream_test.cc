// TLS as a byte stream: deadlines, cancellation, ends that are announced and ends that are not, and what is left behind.
#include "t/unit/tls/stream_fixture.h"

#include "lib/tls/ticket_keys.h"

#include <ctime>

using namespace posthouse;
using namespace posthouse::test;
using posthouse::tls::TlsStream;

namespace {

Deadline soon() { return Deadline::after(Duration::seconds(5)); }

const TestPair& pair()
{
    static const TestPair made = test::make_pair("mx.example.com");
    return made;
}

std::string read_text(Loop& loop, ByteStream& stream, size_t size)
{
    std::string text;
    char bytes[4096];
    while (text.size() < size) {
        auto got = run_task(loop, stream.read_some(bytes, sizeof bytes, soon()));
        if (!got || *got == 0)
            break;
        text.append(bytes, *got);
    }
    return text;
}

Task<void> write_text(ByteStream& stream, std::string text, std::optional<Result<void>>& into, Deadline deadline)
{
    into.emplace(co_await stream.write_all(text, deadline));
}

Task<void> read_once(ByteStream& stream, std::optional<Result<size_t>>& into, Deadline deadline)
{
    char bytes[100];
    into.emplace(co_await stream.read_some(bytes, sizeof bytes, deadline));
}

double cpu_seconds()
{
    timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

} // namespace

TEST_CASE("what one side writes the other reads, in records of any number")
{
    Loop loop;
    Session session(loop, server_context(pair(), server_settings()), client_context());
    REQUIRE(session.good());
    std::string text;
    for (int number = 0; text.size() < 3000000; ++number)
        text += std::to_string(number) + ' ';
    std::optional<Result<void>> written;
    TaskGroup group(loop);
    group.spawn(write_text(*session.client, text, written, soon()));
    CHECK(read_text(loop, *session.server, text.size()) == text);
    CHECK(*written);
    CHECK(session.server->info().protocol == "TLSv1.3");
    CHECK(session.server->info().trust == tls::PeerTrust::Anonymous);
}

TEST_CASE("the end that is announced is the end, the one that is not is a lost connection")
{
    Loop loop;
    char bytes[10];
    SECTION("announced")
    {
        Session session(loop, server_context(pair(), server_settings()), client_context());
        run_task(loop, session.client->end(soon()));
        auto got = run_task(loop, session.server->read_some(bytes, sizeof bytes, soon()));
        REQUIRE(got);
        CHECK(*got == 0);
        // RFC 8446 section 6.1: the other direction is still open.
        CHECK(run_task(loop, session.server->write_all("bye", soon())));
        CHECK(read_text(loop, *session.client, 3) == "bye");
    }
    SECTION("not announced")
    {
        Session session(loop, server_context(pair(), server_settings()), client_context());
        ::shutdown(session.client->fd(), SHUT_WR);
        auto got = run_task(loop, session.server->read_some(bytes, sizeof bytes, soon()));
        REQUIRE_FALSE(got);
        CHECK(got.error().kind() == ErrorKind::Disconnected);
        // A last reply can still be sent: 421 when the server stops.
        CHECK(run_task(loop, session.server->write_all("421", soon())));
        CHECK(read_text(loop, *session.client, 3) == "421");
    }
    SECTION("something else in place of a record")
    {
        Session session(loop, server_context(pair(), server_settings()), client_context());
        CHECK(::send(session.client->fd(), "MAIL FROM:<>\r\n", 14, 0) == 14);
        auto got = run_task(loop, session.server->read_some(bytes, sizeof bytes, soon()));
        REQUIRE_FALSE(got);
        CHECK(got.error().kind() == ErrorKind::Disconnected);
        CHECK(got.error().full_text().find("wrong version number") != std::string::npos);
        CHECK_FALSE(run_task(loop, session.server->write_all("x", soon())));
    }
}

TEST_CASE("a handshake ends at its deadline, and uses no processor time until then")
{
    Loop loop;
    SocketPair sockets(loop);
    auto server = TlsStream::server(server_context(pair(), server_settings()), *sockets.server_socket);
    const Instant begun = Instant::now();
    const double cpu = cpu_seconds();
    auto done = run_task(loop, (*server)->handshake(Deadline::after(Duration::milliseconds(300))));
    REQUIRE_FALSE(done);
    CHECK(done.error().kind() == ErrorKind::TimedOut);
    CHECK(Instant::now() - begun < Duration::milliseconds(600));
    CHECK(cpu_seconds() - cpu < 0.1);
}

TEST_CASE("a handshake with what is no client of TLS says so in the library's words")
{
    Loop loop;
    SocketPair sockets(loop);
    auto server = TlsStream::server(server_context(pair(), server_settings()), *sockets.server_socket);
    const std::string_view request = "GET / HTTP/1.1\r\n\r\n";
    CHECK(::send(sockets.client_socket->fd(), request.data(), request.size(), 0) > 0);
    auto done = run_task(loop, (*server)->handshake(soon()));
    REQUIRE_FALSE(done);
    CHECK(done.error().kind() == ErrorKind::Permanent);
    CHECK(done.error().text().find("http request") != std::string::npos);
}

TEST_CASE("reading and writing end at their deadlines, and after half a record nothing more is written")
{
    Loop loop;
    Session session(loop, server_context(pair(), server_settings()), client_context());
    char bytes[10];
    auto got = run_task(loop, session.server->read_some(bytes, sizeof bytes, Deadline::after(Duration::milliseconds(50))));
    REQUIRE_FALSE(got);
    CHECK(got.error().kind() == ErrorKind::TimedOut);
    CHECK(run_task(loop, session.server->write_all("still good", soon())));
    const std::string much(4000000, 'x');
    auto written = run_task(loop, session.server->write_all(much, Deadline::after(Duration::milliseconds(50))));
    REQUIRE_FALSE(written);
    CHECK(written.error().kind() == ErrorKind::TimedOut);
    written = run_task(loop, session.server->write_all("other", soon()));
    REQUIRE_FALSE(written);
    CHECK(written.error().kind() == ErrorKind::Disconnected);
}

TEST_CASE("a task that is cancelled while it waits leaves the stream to others, or, in a record, to nobody")
{
    Loop loop;
    Session session(loop, server_context(pair(), server_settings()), client_context());
    {
        std::optional<Result<size_t>> got;
        TaskGroup group(loop);
        group.spawn(read_once(*session.server, got, Deadline::never()));
        loop.run_once(Duration::milliseconds(10));
        CHECK_FALSE(got);
    }
    CHECK(run_task(loop, session.client->write_all("hello", soon())));
    CHECK(read_text(loop, *session.server, 5) == "hello");
    {
        std::optional<Result<void>> written;
        TaskGroup group(loop);
        group.spawn(write_text(*session.server, std::string(4000000, 'x'), written, Deadline::never()));
        loop.run_once(Duration::milliseconds(10));
        CHECK_FALSE(written);
    }
    CHECK_FALSE(run_task(loop, session.server->write_all("other", soon())));
    CHECK(task_detail::live_frames == 0);
}

TEST_CASE("a handshake can be cancelled after any of its steps")
{
    Loop loop;
    for (int steps = 0; steps < 12; ++steps) {
        SocketPair sockets(loop);
        auto server = TlsStream::server(server_context(pair(), server_settings()), *sockets.server_socket);
        auto client = TlsStream::client(client_context(), *sockets.client_socket, tls::ClientWish());
        std::optional<Result<void>> done[2];
        TaskGroup group(loop);
        group.spawn(keep_result(**server, done[0]));
        group.spawn(keep_result(**client, done[1]));
        for (int step = 0; step < steps; ++step)
            loop.run_once(Duration());
        group.cancel_all();
        loop.run_once(Duration());
        CHECK(task_detail::live_frames == 0);
    }
}

TEST_CASE("who waits for input is woken by it, also by what was read and not yet taken")
{
    Loop loop;
    Session session(loop, server_context(pair(), server_settings()), client_context());
    CHECK(read_text(loop, *session.client, 0).empty());
    auto ready = run_task(loop, session.server->wait_readable(Deadline::after(Duration::milliseconds(50))));
    REQUIRE_FALSE(ready);
    CHECK(ready.error().kind() == ErrorKind::TimedOut);
    CHECK(run_task(loop, session.client->write_all("hello", soon())));
    CHECK(run_task(loop, session.server->wait_readable(soon())));
    char byte;
    CHECK(*run_task(loop, session.server->read_some(&byte, 1, soon())) == 1);
    CHECK(run_task(loop, session.server->wait_readable(soon()))); // the rest is inside
}

TEST_CASE("a stream with no socket beneath cannot speak TLS, and says so")
{
    class Nothing final : public ByteStream {
        Task<Result<size_t>> read_some(char*, size_t, Deadline) override { co_return size_t(0); }
        Task<Result<void>> write_all(std::string_view, Deadline) override { co_return Result<void>(); }
        Task<Result<void>> wait_readable(Deadline) override { co_return Result<void>(); }
        int fd() const override { return -1; }
    };
    Nothing nothing;
    auto server = TlsStream::server(server_context(pair(), server_settings()), nothing);
    REQUIRE_FALSE(server);
    CHECK(server.error().text() == "TLS needs a socket");
}
