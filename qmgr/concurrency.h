// How many deliveries a destination gets at a time, by what happened to the earlier ones: Postfix's
// concurrency scheduler (SCHEDULER_README), as a pure state machine. A delivery that reached the site
// opens the window a little, one that did not (no connection, no greeting, connection lost) closes it a
// little; failures of a whole window's worth in a row (a "cohort") make the site dead for a while.
// A refused recipient says nothing about the site and is counted as success by the caller.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"

#include <cstdint>
#include <string_view>

namespace posthouse::qmgr {

// "1", "0.5", "1/concurrency", "3/sqrt_concurrency".
class Feedback {
public:
    Feedback() = default;
    static Result<Feedback> parse(std::string_view text);
    double at(unsigned window) const;

    bool operator==(const Feedback&) const = default;

private:
    enum class Divisor : unsigned char { One, Window, RootOfWindow };
    double value_ = 1;
    Divisor divisor_ = Divisor::One;
};

class ConcurrencyLimits {
public:
    ConcurrencyLimits() = default;
    unsigned initial = 5;
    unsigned most = 20; // 0: no limit
    Feedback positive;
    Feedback negative;
    double failed_cohorts = 1; // 0: a site is never dead
    Duration dead_time = Duration::seconds(300);
    Duration rate_delay; // above zero: one delivery at a time, and this long between them
};

class ConcurrencyWindow {
public:
    explicit ConcurrencyWindow(const ConcurrencyLimits& limits); // which must outlive it

    bool may_start(Instant now) const;
    // When may_start() becomes true by time alone; never() when only an event can change it.
    Instant opens_at(Instant now) const;

    void started();
    void reached(); // one delivery is over: the site was there
    void missed(Instant now); // one delivery is over: the site was not there
    void withdrawn(); // one delivery is over without having been tried
    void rate_pause(Instant now); // after each delivery, for rate_delay

    bool dead(Instant now) const { return now < dead_until_; }
    Instant dead_until() const { return dead_until_; }
    void revive(); // back to the initial window, whatever was

    unsigned window() const { return window_; }
    unsigned running() const { return running_; }

private:
    unsigned first_window() const;

    const ConcurrencyLimits& limits_;
    unsigned window_;
    unsigned running_ = 0;
    double success_ = 0;
    double failure_ = 0;
    double failed_cohorts_ = 0;
    Instant dead_until_ = Instant::from_ns(INT64_MIN);
    Instant paused_until_ = Instant::from_ns(INT64_MIN);
};

} // namespace posthouse::qmgr
