// Clocks: see time.h.
#include "lib/base/time.h"

#include <ctime>

namespace posthouse {

namespace {
int64_t read_clock(clockid_t clock)
{
    timespec now;
    clock_gettime(clock, &now);
    return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}
} // namespace

Instant Instant::now() { return from_ns(read_clock(CLOCK_MONOTONIC)); }

int64_t wall_clock_us() { return read_clock(CLOCK_REALTIME) / 1000; }

} // namespace posthouse
