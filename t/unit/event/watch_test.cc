// Watching descriptors, also those that the kernel refuses to watch: epoll_ctl fails here on demand.
#include "lib/base/unique_fd.h"
#include "lib/event/byte_stream.h"
#include "lib/event/loop.h"
#include "t/support/catch.h"
#include "t/support/run_task.h"

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

using namespace posthouse;
using posthouse::test::run_task;

namespace {
int refusal = 0; // an errno

struct Refusing {
    explicit Refusing(int with) { refusal = with; }
    ~Refusing() { refusal = 0; }
};
} // namespace

// Found by libevent before the C library's.
extern "C" int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept
{
    if (refusal != 0 && operation == EPOLL_CTL_ADD) {
        errno = refusal;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_epoll_ctl, epoll, operation, fd, event));
}

namespace {

Task<Watch::Ready> wait_readable(Watch& watch, Deadline deadline)
{
    co_return co_await watch.readable(deadline);
}

Task<std::string> read_one(ByteStream& stream, Deadline deadline)
{
    char bytes[10];
    auto got = co_await stream.read_some(bytes, sizeof bytes, deadline);
    co_return got ? std::string(bytes, *got) : got.error().text();
}

struct Pair {
    UniqueFd here;
    UniqueFd there;
    Pair()
    {
        int fds[2];
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        here.reset(fds[0]);
        there.reset(fds[1]);
    }
};

} // namespace

TEST_CASE("a regular file, which cannot be watched, is ready to be tried and keeps to deadlines")
{
    Loop loop;
    char name[] = "/tmp/watch_test.XXXXXX";
    const UniqueFd file(mkstemp(name));
    ::unlink(name);
    Watch watch(loop, file.get());
    CHECK(run_task(loop, wait_readable(watch, Deadline::never())) == Watch::Ready::Yes);
    CHECK(run_task(loop, wait_readable(watch, Deadline::after(Duration::milliseconds(1)))) == Watch::Ready::TimedOut);
}

TEST_CASE("a socket for which the kernel has no watch left is read all the same")
{
    const int error = GENERATE(ENOSPC, ENOMEM);
    Loop loop;
    Pair pair;
    const Refusing refusing(error);
    Socket socket(loop, std::move(pair.here));
    CHECK(run_task(loop, read_one(socket, Deadline::after(Duration::milliseconds(120)))) == "timed out while reading");
    Timer later(loop, [&] { (void)!::write(pair.there.get(), "hello", 5); });
    later.set(Instant::now() + Duration::milliseconds(20));
    CHECK(run_task(loop, read_one(socket, Deadline::after(Duration::seconds(5)))) == "hello");
}

TEST_CASE("a descriptor is watched as soon as the kernel has room again")
{
    Loop loop;
    Pair pair;
    std::unique_ptr<Watch> watch;
    {
        const Refusing refusing(ENOSPC);
        watch = std::make_unique<Watch>(loop, pair.here.get());
    }
    CHECK(run_task(loop, wait_readable(*watch, Deadline::never())) == Watch::Ready::Yes); // early, and tried again
    while (run_task(loop, wait_readable(*watch, Deadline::after(Duration::milliseconds(200)))) == Watch::Ready::Yes)
        ; // no more looking from time to time
    Timer later(loop, [&] { (void)!::write(pair.there.get(), "x", 1); });
    later.set(Instant::now() + Duration::milliseconds(20));
    CHECK(run_task(loop, wait_readable(*watch, Deadline::after(Duration::seconds(5)))) == Watch::Ready::Yes);
}

TEST_CASE("a peer that reads what was sent to it wakes nobody who waits for an answer")
{
    Loop loop;
    Pair pair;
    Watch watch(loop, pair.here.get());
    loop.run_once(Duration()); // what is ready at the beginning
    REQUIRE(::write(pair.here.get(), "question", 8) == 8);
    char bytes[10];
    REQUIRE(::read(pair.there.get(), bytes, sizeof bytes) == 8);
    const Instant before = Instant::now();
    loop.run_once(Duration::milliseconds(50));
    CHECK(Instant::now() - before >= Duration::milliseconds(50));
}

TEST_CASE("who waits to write is told as soon as there is room")
{
    Loop loop;
    Pair pair;
    Socket stream(loop, std::move(pair.here));
    const std::string much(4 << 20, 'x');
    size_t got = 0;
    std::thread reader([&] {
        char bytes[65536];
        for (ssize_t count; got < much.size(); got += static_cast<size_t>(count))
            if ((count = ::read(pair.there.get(), bytes, sizeof bytes)) < 0)
                count = 0;
    });
    const Deadline deadline = Deadline::after(Duration::seconds(10));
    CHECK(run_task(loop, stream.write_all(much, deadline)));
    reader.join();
    CHECK(got == much.size());
}
