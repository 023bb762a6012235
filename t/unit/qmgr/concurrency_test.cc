#include "qmgr/concurrency.h"
#include "t/support/catch.h"

using namespace posthouse;
using qmgr::ConcurrencyLimits;
using qmgr::ConcurrencyWindow;
using qmgr::Feedback;

namespace {

constexpr Instant start = Instant::from_ns(1000000000);

Instant later(int64_t seconds)
{
    return start + Duration::seconds(seconds);
}

void start_all(ConcurrencyWindow& window, Instant now)
{
    while (window.may_start(now))
        window.started();
}

} // namespace

TEST_CASE("a destination begins with initial_destination_concurrency deliveries")
{
    ConcurrencyLimits limits;
    ConcurrencyWindow window(limits);
    start_all(window, start);
    CHECK(window.running() == 5);
}

TEST_CASE("the initial concurrency is never above the limit")
{
    ConcurrencyLimits limits;
    limits.most = 2;
    ConcurrencyWindow window(limits);
    CHECK(window.window() == 2);
}

TEST_CASE("each success opens the window by one, up to the limit")
{
    ConcurrencyLimits limits;
    limits.most = 8;
    ConcurrencyWindow window(limits);
    for (int round = 0; round < 10; ++round) {
        start_all(window, start);
        window.reached();
    }
    CHECK(window.window() == 8);
}

TEST_CASE("the window of an unused destination does not grow without bound")
{
    ConcurrencyLimits limits;
    limits.most = 100;
    ConcurrencyWindow window(limits);
    for (int i = 0; i < 50; ++i) {
        window.started();
        window.reached();
    }
    CHECK(window.window() == 6); // one runs: at most `initial` ahead of it
}

TEST_CASE("each failure to reach the site closes the window by one")
{
    ConcurrencyLimits limits;
    limits.failed_cohorts = 0;
    ConcurrencyWindow window(limits);
    window.started();
    window.missed(start);
    CHECK(window.window() == 4);
    for (int i = 0; i < 10; ++i) {
        window.started();
        window.missed(start);
    }
    CHECK(window.window() == 1);
    CHECK_FALSE(window.dead(start));
}

TEST_CASE("feedback 1/concurrency needs a window's worth of results for one step")
{
    ConcurrencyLimits limits;
    limits.positive = *Feedback::parse("1/concurrency");
    ConcurrencyWindow window(limits);
    for (int i = 0; i < 4; ++i) {
        start_all(window, start);
        window.reached();
    }
    CHECK(window.window() == 5);
    start_all(window, start);
    window.reached();
    CHECK(window.window() == 6);
}

TEST_CASE("failures of a whole cohort make a site dead for a while, then it begins anew")
{
    ConcurrencyLimits limits;
    limits.dead_time = Duration::seconds(300);
    ConcurrencyWindow window(limits);
    int failures = 0;
    while (!window.dead(start)) {
        window.started();
        window.missed(start);
        ++failures;
    }
    CHECK(failures == 4); // 1/5 + 1/4 + 1/3 + 1/2
    CHECK_FALSE(window.may_start(later(299)));
    CHECK(window.opens_at(start) == later(300));
    CHECK(window.may_start(later(300)));
    CHECK(window.window() == 5);
}

TEST_CASE("one success forgives the failures before it")
{
    ConcurrencyLimits limits;
    ConcurrencyWindow window(limits);
    for (int round = 0; round < 20; ++round) {
        window.started();
        window.missed(start);
        window.started();
        window.reached();
    }
    CHECK_FALSE(window.dead(start));
}

TEST_CASE("a flush revives a dead site")
{
    ConcurrencyLimits limits;
    limits.initial = 1;
    ConcurrencyWindow window(limits);
    window.started();
    window.missed(start);
    REQUIRE(window.dead(start));
    window.revive();
    CHECK(window.may_start(start));
}

TEST_CASE("a rate delay allows one delivery at a time, and none until the delay is over")
{
    ConcurrencyLimits limits;
    limits.rate_delay = Duration::seconds(2);
    ConcurrencyWindow window(limits);
    window.started();
    CHECK_FALSE(window.may_start(start));
    window.reached();
    window.rate_pause(start);
    CHECK_FALSE(window.may_start(later(1)));
    CHECK(window.opens_at(start) == later(2));
    CHECK(window.may_start(later(2)));
    CHECK(window.window() == 1);
}

TEST_CASE("feedback texts that are no feedback are refused")
{
    for (const char* text : {"", "x", "2", "-1", "1/", "1/window", "1 /concurrency"})
        CHECK_FALSE(Feedback::parse(text));
    CHECK(Feedback::parse("0.5"));
    CHECK(Feedback::parse("1/sqrt_concurrency")->at(4) == 0.5);
}
