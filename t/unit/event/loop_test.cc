// Timers, posted functions, threads and signals of the loop.
#include "lib/base/unique_fd.h"
#include "lib/event/loop.h"
#include "lib/event/thread_pool.h"
#include "t/support/catch.h"
#include "t/support/run_task.h"

#include <csignal>
#include <functional>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace posthouse;
using posthouse::test::run_task;

namespace {
Task<int> compute(ThreadPool& pool, int n)
{
    std::function<int()> work = [n] { return n * n; };
    co_return co_await in_pool(pool, std::move(work));
}

Task<std::string> message_of_failure(ThreadPool& pool)
{
    std::string message;
    try {
        std::function<int()> work = []() -> int { throw std::runtime_error("broken"); };
        (void)co_await in_pool(pool, std::move(work));
    } catch (const std::runtime_error& bug) {
        message = bug.what();
    }
    co_return message;
}
} // namespace

TEST_CASE("timers are called in the order of their time, on a clock that a test drives")
{
    Loop loop;
    loop.use_manual_clock(Instant::from_ns(0));
    std::vector<int> calls;
    Timer third(loop, [&] { calls.push_back(3); });
    Timer first(loop, [&] { calls.push_back(1); });
    Timer second(loop, [&] { calls.push_back(2); });
    Timer cancelled(loop, [&] { calls.push_back(4); });
    third.set(Instant::from_ns(300));
    first.set(Instant::from_ns(100));
    second.set(Instant::from_ns(200));
    cancelled.set(Instant::from_ns(150));
    cancelled.cancel();
    loop.run_once(Duration());
    CHECK(calls.empty());
    loop.advance_manual_clock(Duration::nanoseconds(250));
    loop.run_once(Duration());
    CHECK(calls == std::vector<int>{1, 2});
    loop.advance_manual_clock(Duration::nanoseconds(250));
    loop.run_once(Duration());
    CHECK(calls == std::vector<int>{1, 2, 3});
}

TEST_CASE("many timers stay in order through sets and cancels")
{
    Loop loop;
    loop.use_manual_clock(Instant::from_ns(0));
    int64_t last = -1;
    int called = 0;
    bool in_order = true;
    std::vector<std::unique_ptr<Timer>> timers;
    for (int64_t i = 0; i < 500; ++i) {
        const int64_t when = i * 7919 % 1000;
        timers.push_back(std::make_unique<Timer>(loop, [&, when] {
            in_order = in_order && when >= last;
            last = when;
            ++called;
        }));
        timers.back()->set(Instant::from_ns(when + 1));
    }
    for (size_t i = 0; i < timers.size(); i += 3)
        timers[i]->cancel();
    loop.advance_manual_clock(Duration::nanoseconds(2000));
    loop.run_once(Duration());
    CHECK(in_order);
    CHECK(called == 333);
}

TEST_CASE("a timer may destroy itself in its own call")
{
    Loop loop;
    auto timer = std::make_unique<std::unique_ptr<Timer>>();
    auto* holder = timer.get();
    *holder = std::make_unique<Timer>(loop, [holder] { holder->reset(); });
    (*holder)->set(Instant());
    loop.run_once(Duration());
    CHECK_FALSE(*holder);
}

TEST_CASE("what a posted function posts runs in the same turn")
{
    Loop loop;
    int calls = 0;
    loop.post([&] {
        ++calls;
        loop.post([&] { ++calls; });
    });
    loop.run_once(Duration());
    CHECK(calls == 2);
}

TEST_CASE("the pool runs work beside the loop and brings the result back")
{
    Loop loop;
    ThreadPool pool(loop, 4);
    CHECK(run_task(loop, compute(pool, 12)) == 144);
}

TEST_CASE("a pool that is given no thread does the work on the loop's own, and leaves its signals as they were")
{
    // A stack that no address space holds: the system then refuses any thread.
    pthread_attr_t usual;
    pthread_attr_t impossible;
    REQUIRE(pthread_getattr_default_np(&usual) == 0);
    REQUIRE(pthread_getattr_default_np(&impossible) == 0);
    REQUIRE(pthread_attr_setstacksize(&impossible, size_t(1) << 50) == 0);
    REQUIRE(pthread_setattr_default_np(&impossible) == 0);
    Loop loop;
    ThreadPool pool(loop, 2);
    sigset_t before;
    sigset_t after;
    pthread_sigmask(SIG_SETMASK, nullptr, &before);
    const int refused = run_task(loop, compute(pool, 12));
    pthread_sigmask(SIG_SETMASK, nullptr, &after);
    REQUIRE(pthread_setattr_default_np(&usual) == 0);
    CHECK(refused == 144);
    CHECK(sigismember(&after, SIGTERM) == sigismember(&before, SIGTERM));
    CHECK(run_task(loop, compute(pool, 13)) == 169);
}

TEST_CASE("an exception in a pool's thread reaches the one that waits for the work")
{
    Loop loop;
    ThreadPool pool(loop, 1);
    CHECK(run_task(loop, message_of_failure(pool)) == "broken");
}

TEST_CASE("a loop that is stopped before it runs does not run for ever")
{
    Loop loop;
    bool ran = false;
    Timer alarm(loop, [&] {
        ran = true;
        loop.stop();
    });
    alarm.set(Instant::now() + Duration::milliseconds(200));
    loop.stop();
    loop.run();
    CHECK_FALSE(ran);
    loop.run(); // the second time it runs
    CHECK(ran);
}

TEST_CASE("a pool that ends drops the work it has not begun")
{
    Loop loop;
    auto pool = std::make_unique<ThreadPool>(loop, 1);
    int done = 0;
    for (int i = 0; i < 100; ++i)
        pool->submit([] {}, [&done] { ++done; });
    pool.reset();
    loop.run_once(Duration());
    CHECK(done <= 100);
}

TEST_CASE("a signal arrives as a call from the loop")
{
    Loop loop;
    int arrived = 0;
    loop.on_signal(SIGUSR1, [&] { ++arrived; });
    raise(SIGUSR1);
    for (int i = 0; i < 10 && !arrived; ++i)
        loop.run_once(Duration::milliseconds(10));
    CHECK(arrived == 1);
}

namespace {
Task<void> note_arrival(Loop& loop, int fd, Instant& seen)
{
    Watch watch(loop, fd);
    (void)co_await watch.readable(Deadline::never());
    seen = loop.now();
}
} // namespace

TEST_CASE("what ends a long wait sees the time of its end")
{
    Loop loop;
    Instant signal_seen;
    Instant edge_seen;
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    const UniqueFd reader(pair[0]);
    const UniqueFd writer(pair[1]);
    loop.on_signal(SIGUSR1, [&] { signal_seen = loop.now(); });
    TaskGroup tasks(loop);
    tasks.spawn(note_arrival(loop, reader.get(), edge_seen));
    const Instant begin = Instant::now();
    std::thread peer([&] {
        usleep(150000);
        kill(getpid(), SIGUSR1);
        (void)!write(writer.get(), "x", 1);
    });
    while (signal_seen == Instant() || edge_seen == Instant())
        loop.run_once(Duration::seconds(5));
    peer.join();
    CHECK(signal_seen - begin >= Duration::milliseconds(150));
    CHECK(edge_seen - begin >= Duration::milliseconds(150));
}
