// The end of the mail system: who waits for whom.
#include "lib/service/stop_times.h"

#include "t/support/catch.h"

using namespace posthouse;

TEST_CASE("posthouse stop waits longer than master does, and master longer than any program may take to end")
{
    const Duration deadline = Duration::seconds(GENERATE(1, 10, 50, 3600));
    CHECK(service::master_stop_time(deadline) > deadline);
    CHECK(service::session_stop_time(deadline) > service::message_stop_time(deadline));
    CHECK(service::intake_stop_time(deadline) > service::session_stop_time(deadline));
    CHECK(service::master_stop_time(deadline) > service::intake_stop_time(deadline) + deadline);
    CHECK(service::command_stop_time(deadline) > service::master_stop_time(deadline));
}

TEST_CASE("a client's session has stop_deadline to come to its end, and ten seconds at most")
{
    CHECK(service::session_stop_time(Duration::seconds(3)) == Duration::seconds(3));
    CHECK(service::session_stop_time(Duration::seconds(50)) == Duration::seconds(10));
}
