// Tasks and groups: how control moves, and how deep the stack gets.
#include "lib/event/notify.h"
#include "lib/event/task_group.h"
#include "t/support/catch.h"
#include "t/support/run_task.h"

#include <stdexcept>
#include <string>

using namespace posthouse;
using posthouse::test::run_task;

namespace {

Task<int> at_once(int n) { co_return n; }

Task<int> later(Loop& loop, int n)
{
    co_await sleep_for(loop, Duration());
    co_return n;
}

Task<long> sum_of_finished(int count)
{
    long sum = 0;
    for (int i = 0; i < count; ++i)
        sum += co_await at_once(1);
    co_return sum;
}

Task<long> sum_of_suspended(Loop& loop, int count)
{
    long sum = 0;
    for (int i = 0; i < count; ++i)
        sum += co_await later(loop, 1);
    co_return sum;
}

Task<int> throws(Loop& loop)
{
    co_await sleep_for(loop, Duration());
    throw std::runtime_error("broken");
}

Task<std::string> catches(Loop& loop)
{
    std::string caught;
    try {
        (void)co_await throws(loop);
    } catch (const std::runtime_error& bug) {
        caught = bug.what();
    }
    co_return caught;
}

Task<void> count_up(Loop& loop, int& counter)
{
    co_await sleep_for(loop, Duration::milliseconds(1));
    ++counter;
}

Task<void> wait_forever(Loop& loop)
{
    co_await sleep_until(loop, Instant::never());
}

Task<bool> drain(TaskGroup& group)
{
    co_await group.drained();
    co_return true;
}

Task<bool> wait_for(Event& event, Deadline deadline) { co_return co_await event.wait(deadline); }

// Notes when it is destroyed.
class Noted {
public:
    explicit Noted(bool& gone) : gone_(&gone) {}
    Noted(Noted&& other) noexcept : gone_(std::exchange(other.gone_, nullptr)) {}
    Noted& operator=(Noted&&) = delete;
    ~Noted()
    {
        if (gone_)
            *gone_ = true;
    }

private:
    bool* gone_;
};

Task<void> keep(Noted) { co_return; }

Task<bool> drained_and_gone(TaskGroup& group, bool& gone)
{
    co_await group.drained();
    co_return gone;
}

Task<void> circle(Event& own, Event& other, long& turns)
{
    while (true) {
        auto notified = co_await own.wait(Deadline::never());
        turns += notified;
        other.notify_one();
    }
}

Task<void> never_idle(Loop& loop, long& steps)
{
    while (true) {
        ++steps;
        co_await sleep_for(loop, Duration());
    }
}

Task<void> count_notice(Event& event, int& notices)
{
    auto notified = co_await event.wait(Deadline::never());
    notices += notified;
}

} // namespace

TEST_CASE("a task that is never awaited does nothing and leaves nothing")
{
    const long before = task_detail::live_frames;
    {
        auto task = at_once(1);
        CHECK(task_detail::live_frames == before + 1);
    }
    CHECK(task_detail::live_frames == before);
}

TEST_CASE("300,000 awaits of finished children need no stack")
{
    Loop loop;
    CHECK(run_task(loop, sum_of_finished(300000)) == 300000);
}

TEST_CASE("many awaits of suspended children need no stack")
{
    Loop loop;
    CHECK(run_task(loop, sum_of_suspended(loop, 20000), Duration::seconds(60)) == 20000);
}

TEST_CASE("an exception passes through awaiting frames")
{
    Loop loop;
    CHECK(run_task(loop, catches(loop)) == "broken");
}

TEST_CASE("a group counts its tasks and can be waited for")
{
    Loop loop;
    int counter = 0;
    TaskGroup group(loop);
    for (int i = 0; i < 5; ++i)
        group.spawn(count_up(loop, counter));
    CHECK(group.size() == 5);
    CHECK(run_task(loop, drain(group)));
    CHECK(counter == 5);
    CHECK(group.size() == 0);
}

TEST_CASE("cancelling a group destroys its frames at the top of the loop")
{
    Loop loop;
    const long before = task_detail::live_frames;
    TaskGroup group(loop);
    group.spawn(wait_forever(loop));
    group.spawn(wait_forever(loop));
    group.cancel_all();
    CHECK(task_detail::live_frames > before);
    loop.run_once(Duration());
    CHECK(task_detail::live_frames == before);
    CHECK(group.size() == 0);
}

TEST_CASE("an exception that leaves a spawned task ends that task only")
{
    Loop loop;
    int counter = 0;
    TaskGroup group(loop);
    group.spawn([](Loop& its_loop) -> Task<void> { (void)co_await throws(its_loop); }(loop));
    group.spawn(count_up(loop, counter));
    CHECK(run_task(loop, drain(group)));
    CHECK(counter == 1);
}

TEST_CASE("an Event wakes its waiters, or their deadline does")
{
    Loop loop;
    Event event(loop);
    CHECK_FALSE(run_task(loop, wait_for(event, Deadline::after(Duration::milliseconds(5)))));
    Timer timer(loop, [&] { event.notify_all(); });
    timer.set(Instant::now() + Duration::milliseconds(5));
    CHECK(run_task(loop, wait_for(event, Deadline::never())));
}

TEST_CASE("a notice for one waiter passes to the next when that one is cancelled before it runs")
{
    Loop loop;
    Event event(loop);
    int notices = 0;
    auto first = std::make_unique<TaskGroup>(loop);
    auto second = std::make_unique<TaskGroup>(loop);
    TaskGroup third(loop);
    first->spawn(count_notice(event, notices));
    second->spawn(count_notice(event, notices));
    third.spawn(count_notice(event, notices));
    event.notify_one();
    first.reset();
    second.reset();
    for (int turn = 0; turn < 3; ++turn)
        loop.run_once(Duration());
    CHECK(notices == 1);
    CHECK(third.size() == 0);
}

TEST_CASE("a notice for all waiters wakes none that begins to wait later")
{
    Loop loop;
    Event event(loop);
    int notices = 0;
    auto cancelled = std::make_unique<TaskGroup>(loop);
    TaskGroup later(loop);
    cancelled->spawn(count_notice(event, notices));
    event.notify_all();
    later.spawn(count_notice(event, notices));
    cancelled.reset();
    loop.run_once(Duration());
    CHECK(notices == 0);
    CHECK(later.size() == 1);
    later.cancel_all();
    loop.run_once(Duration());
}

TEST_CASE("a waiter that is woken outlives the event that woke it")
{
    Loop loop;
    auto event = std::make_unique<Event>(loop);
    int notices = 0;
    TaskGroup cancelled(loop);
    {
        TaskGroup group(loop);
        group.spawn(count_notice(*event, notices));
        cancelled.spawn(count_notice(*event, notices));
        event->notify_one();
        event->notify_one();
        event.reset();
    }
    loop.run_once(Duration());
    CHECK(notices == 1);
}

TEST_CASE("what is spawned after a group was cancelled goes on")
{
    Loop loop;
    int counter = 0;
    TaskGroup group(loop);
    group.spawn(wait_forever(loop));
    group.cancel_all();
    group.spawn(count_up(loop, counter));
    CHECK(run_task(loop, drain(group)));
    CHECK(counter == 1);
}

TEST_CASE("a drained group has destroyed what its tasks were given")
{
    Loop loop;
    bool gone = false;
    TaskGroup group(loop);
    group.spawn(keep(Noted(gone)));
    CHECK(run_task(loop, drained_and_gone(group, gone)));
}

TEST_CASE("tasks that wake each other in a circle, or sleep for no time, leave timers and descriptors their turn")
{
    Loop loop;
    Event one(loop);
    Event other(loop);
    long turns = 0;
    long steps = 0;
    TaskGroup group(loop);
    SECTION("in a circle")
    {
        group.spawn(circle(one, other, turns));
        group.spawn(circle(other, one, turns));
        one.notify_one();
    }
    SECTION("for no time") { group.spawn(never_idle(loop, steps)); }
    SECTION("by posting")
    {
        std::function<void()> again = [&] {
            if (++steps < 1000000)
                loop.post(again);
        };
        loop.post(again);
        loop.run_once(Duration());
        CHECK(steps < 1000000);
        while (steps < 1000000)
            loop.run_once(Duration());
    }
    loop.run_once(Duration());
    loop.run_once(Duration());
    CHECK(turns + steps > 0);
    group.cancel_all();
    loop.run_once(Duration());
}
