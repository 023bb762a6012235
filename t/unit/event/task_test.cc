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
