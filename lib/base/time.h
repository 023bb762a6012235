// Durations and monotonic points in time, in nanoseconds, without <chrono> (which costs half a second
// of compiling each). Monotonic time is for intervals and deadlines; wall-clock time (time_t, or
// microseconds since 1970) only for what people and other hosts see.
#pragma once

#include <compare>
#include <cstdint>

namespace posthouse {

class Duration {
public:
    constexpr Duration() = default;
    static constexpr Duration nanoseconds(int64_t n) { return Duration(n); }
    static constexpr Duration microseconds(int64_t n) { return Duration(n * 1000); }
    static constexpr Duration milliseconds(int64_t n) { return Duration(n * 1000000); }
    static constexpr Duration seconds(int64_t n) { return Duration(n * 1000000000); }

    constexpr int64_t ns() const { return ns_; }
    constexpr int64_t ms() const { return ns_ / 1000000; }
    constexpr int64_t whole_seconds() const { return ns_ / 1000000000; }
    constexpr double as_seconds() const { return static_cast<double>(ns_) / 1e9; }

    friend constexpr auto operator<=>(Duration, Duration) = default;
    friend constexpr Duration operator+(Duration a, Duration b) { return Duration(a.ns_ + b.ns_); }
    friend constexpr Duration operator-(Duration a, Duration b) { return Duration(a.ns_ - b.ns_); }
    friend constexpr Duration operator*(Duration a, int64_t n) { return Duration(a.ns_ * n); }

private:
    constexpr explicit Duration(int64_t ns) : ns_(ns) {}
    int64_t ns_ = 0;
};

// A point of monotonic time.
class Instant {
public:
    constexpr Instant() = default;
    static Instant now(); // CLOCK_MONOTONIC
    static constexpr Instant from_ns(int64_t ns) { return Instant(ns); }
    static constexpr Instant never() { return Instant(INT64_MAX); }

    constexpr int64_t ns() const { return ns_; }
    constexpr bool is_never() const { return ns_ == INT64_MAX; }

    friend constexpr auto operator<=>(Instant, Instant) = default;
    friend constexpr Instant operator+(Instant at, Duration d)
    {
        return at.is_never() ? at : Instant(at.ns_ + d.ns());
    }
    friend constexpr Duration operator-(Instant a, Instant b)
    {
        return Duration::nanoseconds(a.ns_ - b.ns_);
    }

private:
    constexpr explicit Instant(int64_t ns) : ns_(ns) {}
    int64_t ns_ = 0;
};

// The moment at which a wait gives up. Passed down through calls; `tighter` never extends.
class Deadline {
public:
    static constexpr Deadline never() { return Deadline(Instant::never()); }
    static constexpr Deadline at(Instant when) { return Deadline(when); }
    static Deadline after(Duration d) { return Deadline(Instant::now() + d); }

    constexpr Instant when() const { return when_; }
    constexpr bool is_never() const { return when_.is_never(); }
    constexpr bool passed(Instant now) const { return now >= when_; }
    constexpr Deadline tighter(Deadline other) const { return when_ <= other.when_ ? *this : other; }

private:
    constexpr explicit Deadline(Instant when) : when_(when) {}
    Instant when_;
};

// Microseconds since 1970, from the wall clock.
int64_t wall_clock_us();

} // namespace posthouse
