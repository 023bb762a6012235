// Cancel everywhere: a coroutine is destroyed after its first, second, ... turn of the loop until it
// completes, and each time nothing of it may be left alive.
#include "lib/event/byte_stream.h"
#include "lib/event/notify.h"
#include "lib/event/task_group.h"
#include "lib/event/thread_pool.h"
#include "t/support/catch.h"

#include <functional>
#include <string>
#include <sys/socket.h>
#include <vector>

using namespace posthouse;

namespace {

struct Fixture {
    Loop loop;
    ThreadPool pool;
    Event event;
    std::unique_ptr<Socket> a;
    std::unique_ptr<Socket> b;

    Fixture() : pool(loop, 2), event(loop)
    {
        int fds[2];
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        a = std::make_unique<Socket>(loop, UniqueFd(fds[0]));
        b = std::make_unique<Socket>(loop, UniqueFd(fds[1]));
    }
};

Task<void> echo(Socket& stream)
{
    std::string buffer(4096, '\0');
    while (true) {
        auto got = co_await stream.read_some(buffer.data(), buffer.size(), Deadline::never());
        if (!got || *got == 0)
            co_return;
        const std::string text = buffer.substr(0, *got);
        auto written = co_await stream.write_all(text, Deadline::never());
        if (!written)
            co_return;
    }
}

Task<Result<std::string>> ask(Socket& stream, std::string question)
{
    CO_CHECK(co_await stream.write_all(question, Deadline::never()));
    std::string answer(100, '\0');
    auto got = co_await stream.read_some(answer.data(), answer.size(), Deadline::after(Duration::seconds(5)));
    if (!got)
        co_return std::move(got.error());
    answer.resize(*got);
    co_return answer;
}

// Every kind of wait there is, nested in calls.
Task<void> busy(Fixture& f, bool& completed)
{
    TaskGroup group(f.loop);
    group.spawn(echo(*f.b));
    for (int i = 0; i < 3; ++i) {
        auto answer = co_await ask(*f.a, "question number " + std::to_string(i));
        REQUIRE(answer);
        co_await sleep_for(f.loop, Duration::microseconds(10));
        std::function<int()> work = [i] { return i + 1; };
        const int more = co_await in_pool(f.pool, std::move(work));
        REQUIRE(more == i + 1);
        (void)co_await f.event.wait(Deadline::after(Duration::microseconds(10)));
    }
    completed = true;
}

// One place, taken in turn.
class Place {
public:
    explicit Place(Loop& loop) : free_again_(loop) {}

    Task<void> use(Loop& loop, int& served)
    {
        while (taken_)
            (void)co_await free_again_.wait(Deadline::never());
        const Use in_use(*this);
        co_await sleep_for(loop, Duration());
        ++served;
    }

private:
    struct Use {
        explicit Use(Place& place) : its(place) { its.taken_ = true; }
        ~Use()
        {
            its.taken_ = false;
            its.free_again_.notify_one();
        }
        Place& its;
    };
    bool taken_ = false;
    Event free_again_;
};

// Two of five that share a place are destroyed after some turns: how many of the others were served.
int served_without(size_t victim, size_t other, int turns)
{
    Loop loop;
    Place place(loop);
    int served = 0;
    std::vector<std::unique_ptr<TaskGroup>> groups;
    for (int i = 0; i < 5; ++i) {
        groups.push_back(std::make_unique<TaskGroup>(loop));
        groups.back()->spawn(place.use(loop, served));
    }
    for (int turn = 0; turn < turns; ++turn)
        loop.run_once(Duration());
    const int before = (groups[victim]->size() == 0) + (groups[other]->size() == 0);
    groups[victim].reset();
    groups[other].reset(); // perhaps the one that was just woken
    for (int turn = 0; turn < 20; ++turn)
        loop.run_once(Duration());
    return served - before;
}

} // namespace

TEST_CASE("whoever is destroyed while waiting for a place or having it, at whatever moment, all others are served")
{
    for (size_t victim = 0; victim < 5; ++victim)
        for (size_t other = 0; other < 5; ++other)
            for (int turns = 0; victim != other && turns < 8; ++turns) {
                CAPTURE(victim, other, turns);
                CHECK(served_without(victim, other, turns) == 3);
            }
}

TEST_CASE("a task destroyed after any turn of the loop leaves no frame alive")
{
    const long before = task_detail::live_frames;
    bool completed = false;
    int turns = 0;
    while (!completed) {
        {
            Fixture fixture;
            TaskGroup group(fixture.loop);
            group.spawn(busy(fixture, completed));
            for (int turn = 0; turn < turns && !completed; ++turn)
                fixture.loop.run_once(Duration::milliseconds(1));
            group.cancel_all();
            fixture.loop.run_once(Duration());
            REQUIRE(group.size() == 0);
        }
        REQUIRE(task_detail::live_frames == before);
        ++turns;
        REQUIRE(turns < 2000);
    }
    CHECK(turns > 5);
}
