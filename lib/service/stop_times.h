// How long the end of the mail system may take, step by step: each waits a little longer than the one below it.
#pragma once

#include "lib/base/time.h"

#include <algorithm>

namespace posthouse::service {

// Programs that deliver have stop_deadline; a session of the others has no more than this to come to its end.
inline constexpr Duration longest_session_stop_time = Duration::seconds(10);

inline Duration session_stop_time(Duration stop_deadline)
{
    return std::min(longest_session_stop_time, stop_deadline);
}

// By then a message must have come in: the rest of the time is for saying 421.
inline Duration message_stop_time(Duration stop_deadline)
{
    return Duration::nanoseconds(session_stop_time(stop_deadline).ns() / 5 * 4);
}

// What takes mail ends first; so long the rest goes on.
inline Duration intake_stop_time(Duration stop_deadline)
{
    return session_stop_time(stop_deadline) + Duration::seconds(1);
}

// Then master kills what is left.
inline Duration master_stop_time(Duration stop_deadline)
{
    return intake_stop_time(stop_deadline) + stop_deadline + Duration::seconds(5);
}

// Then posthouse(1) gives up waiting for master.
inline Duration command_stop_time(Duration stop_deadline)
{
    return master_stop_time(stop_deadline) + Duration::seconds(5);
}

} // namespace posthouse::service
