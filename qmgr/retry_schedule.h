// When a message is tried again, and when it is given up: pure functions of its age.
#pragma once

#include <algorithm>
#include <cstdint>

namespace posthouse::qmgr {

class RetrySchedule {
public:
    RetrySchedule() = default;
    int64_t minimal_backoff_s = 300;
    int64_t maximal_backoff_s = 4000;
    int64_t message_lifetime_s = 5 * 86400;
    int64_t bounce_lifetime_s = 5 * 86400;
    int64_t delay_warning_s = 0; // 0: none

    // Postfix's rule: the time waited so far, within bounds. So each wait doubles a message's age.
    int64_t next_attempt_us(int64_t arrival_us, int64_t now_us) const
    {
        const int64_t age_s = std::max<int64_t>(0, (now_us - arrival_us) / 1000000);
        return now_us + std::clamp(age_s, minimal_backoff_s, std::max(minimal_backoff_s, maximal_backoff_s)) * 1000000;
    }

    // Asked after an attempt, so that a lifetime of 0 still means one attempt.
    bool expired(int64_t arrival_us, int64_t now_us, bool null_sender) const
    {
        const int64_t lifetime_s = null_sender ? bounce_lifetime_s : message_lifetime_s;
        return now_us - arrival_us >= lifetime_s * 1000000;
    }

    bool warning_due(int64_t arrival_us, int64_t now_us) const
    {
        return delay_warning_s > 0 && now_us - arrival_us >= delay_warning_s * 1000000;
    }
};

} // namespace posthouse::qmgr
