// How long the end of the mail system may take, step by step: each waits a little longer than the one below it.
#pragma once

#include "lib/base/time.h"

#include <algorithm>

namespace posthouse::service {

// Programs that deliver have stop_deadline; a session of the others has this time to come to its end.
inline constexpr Duration session_stop_time = Duration::seconds(10);

// What takes mail ends first; so long the rest goes on.
inline constexpr Duration intake_stop_time = session_stop_time + Duration::seconds(1);

// Then master kills what is left.
inline Duration master_stop_time(Duration stop_deadline)
{
    return intake_stop_time + std::max(session_stop_time, stop_deadline) + Duration::seconds(5);
}

// Then posthouse(1) gives up waiting for master.
inline Duration command_stop_time(Duration stop_deadline)
{
    return master_stop_time(stop_deadline) + Duration::seconds(5);
}

} // namespace posthouse::service
