// Sockets as byte streams.
#include "lib/event/byte_stream.h"
#include "t/support/catch.h"
#include "t/support/run_task.h"

#include <string>
#include <sys/socket.h>

using namespace posthouse;
using posthouse::test::run_task;

namespace {

struct Pair {
    explicit Pair(Loop& loop)
    {
        int fds[2];
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        a = std::make_unique<Socket>(loop, UniqueFd(fds[0]));
        b = std::make_unique<Socket>(loop, UniqueFd(fds[1]));
    }
    std::unique_ptr<Socket> a;
    std::unique_ptr<Socket> b;
};

Task<std::string> read_all(ByteStream& stream)
{
    std::string all;
    char chunk[1000];
    while (true) {
        auto got = co_await stream.read_some(chunk, sizeof chunk, Deadline::never());
        if (!got || *got == 0)
            co_return all;
        all.append(chunk, *got);
    }
}

Task<void> write_and_close(std::unique_ptr<Socket>& stream, std::string bytes)
{
    auto written = co_await stream->write_all(bytes, Deadline::never());
    REQUIRE(written);
    stream.reset();
}

Task<Result<size_t>> read_with_deadline(ByteStream& stream, Deadline deadline)
{
    char byte;
    co_return co_await stream.read_some(&byte, 1, deadline);
}

} // namespace

TEST_CASE("a megabyte passes a socket whole, through many partial writes")
{
    Loop loop;
    Pair pair(loop);
    std::string bytes(1 << 20, 'x');
    bytes[12345] = 'y';
    TaskGroup group(loop);
    group.spawn(write_and_close(pair.a, bytes));
    CHECK(run_task(loop, read_all(*pair.b)) == bytes);
}

TEST_CASE("a read ends at its deadline")
{
    Loop loop;
    Pair pair(loop);
    auto got = run_task(loop, read_with_deadline(*pair.b, Deadline::after(Duration::milliseconds(5))));
    REQUIRE_FALSE(got);
    CHECK(got.error().kind() == ErrorKind::TimedOut);
}

TEST_CASE("a write to a peer that is gone is a disconnection, not a signal")
{
    Loop loop;
    Pair pair(loop);
    pair.b.reset();
    TaskGroup group(loop);
    auto written = run_task(loop, pair.a->write_all("hello", Deadline::never()));
    REQUIRE_FALSE(written);
    CHECK(written.error().kind() == ErrorKind::Disconnected);
}
