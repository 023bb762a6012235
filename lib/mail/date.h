// Dates as text. Wall-clock microseconds in; the local time zone must have been loaded before a chroot.
#pragma once

#include <cstdint>
#include <string>

namespace posthouse::mail {

std::string format_date(int64_t wall_us);     // "Sun, 22 Nov 2026 03:38:01 +0000 (UTC)", RFC 5322 section 3.3
std::string compact_utc_time(int64_t wall_us); // "20261122033801": first part of a Message-Id

} // namespace posthouse::mail
