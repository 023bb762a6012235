// Random bytes: see random.h.
#include "lib/base/random.h"

#include <cerrno>
#include <cstdlib>
#include <sys/random.h>

namespace posthouse {

void random_bytes(void* into, size_t count)
{
    auto* next = static_cast<char*>(into);
    while (count > 0) {
        ssize_t got = getrandom(next, count, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            abort();
        }
        next += got;
        count -= static_cast<size_t>(got);
    }
}

uint64_t random_u64()
{
    uint64_t value;
    random_bytes(&value, sizeof value);
    return value;
}

uint64_t random_below(uint64_t below)
{
    // Values at the uneven end of the range would favour small results: draw again.
    const uint64_t uneven = -below % below;
    uint64_t value;
    do {
        value = random_u64();
    } while (value < uneven);
    return value % below;
}

} // namespace posthouse
