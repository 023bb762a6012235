#include "qmgr/retry_schedule.h"
#include "t/support/catch.h"

using posthouse::qmgr::RetrySchedule;

namespace {

constexpr int64_t second = 1000000;
constexpr int64_t arrival = 1700000000 * second;

int64_t wait_at_age(const RetrySchedule& schedule, int64_t age_s)
{
    const int64_t now = arrival + age_s * second;
    return (schedule.next_attempt_us(arrival, now) - now) / second;
}

} // namespace

TEST_CASE("35: the wait doubles with the message's age, from 300 to 4000 seconds")
{
    const RetrySchedule schedule;
    CHECK(wait_at_age(schedule, 0) == 300);
    CHECK(wait_at_age(schedule, 299) == 300);
    CHECK(wait_at_age(schedule, 600) == 600);
    CHECK(wait_at_age(schedule, 1200) == 1200);
    CHECK(wait_at_age(schedule, 86400) == 4000);
}

TEST_CASE("35: a clock that was set back gives the shortest wait, never one in the past")
{
    const RetrySchedule schedule;
    CHECK(wait_at_age(schedule, -5000) == 300);
}

TEST_CASE("a maximal_backoff_time below the minimal one does not end in a panic")
{
    RetrySchedule schedule;
    schedule.maximal_backoff_s = 10;
    CHECK(wait_at_age(schedule, 1000) == 300);
}

TEST_CASE("34: mail with a null sender expires by bounce_queue_lifetime, other mail by maximal_queue_lifetime")
{
    RetrySchedule schedule;
    schedule.message_lifetime_s = 1000;
    schedule.bounce_lifetime_s = 100;
    CHECK(schedule.expired(arrival, arrival + 100 * second, true));
    CHECK_FALSE(schedule.expired(arrival, arrival + 999 * second, false));
    CHECK(schedule.expired(arrival, arrival + 1000 * second, false));
}

TEST_CASE("34: a lifetime of 0 means one attempt")
{
    RetrySchedule schedule;
    schedule.message_lifetime_s = 0;
    CHECK(schedule.expired(arrival, arrival, false));
}

TEST_CASE("34: without delay_warning_time no warning is due")
{
    RetrySchedule schedule;
    CHECK_FALSE(schedule.warning_due(arrival, arrival + 1000000 * second));
    schedule.delay_warning_s = 3600;
    CHECK_FALSE(schedule.warning_due(arrival, arrival + 3599 * second));
    CHECK(schedule.warning_due(arrival, arrival + 3600 * second));
}
