// The event loop of a process: readiness of descriptors, timers, signals, and functions to call from
// its top level. One thread runs it and is the only one to touch it, except for `post_from_thread`.
// Its clock can be driven by a test (`use_manual_clock`).
#pragma once

#include "lib/base/time.h"

#include <coroutine>
#include <cstddef>
#include <functional>
#include <memory>

namespace posthouse {

class Loop;

// A function called once at a time. Cancelled by its destructor. Lives in its owner; not movable.
class Timer {
public:
    Timer(Loop& loop, std::function<void()> call);
    ~Timer();
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    void set(Instant when); // replaces an earlier time; Instant::never() cancels, soon() calls in this turn
    static constexpr Instant soon() { return Instant(); }
    void cancel();
    bool active() const { return slot_ != npos; }

private:
    friend class Loop;
    static constexpr size_t npos = static_cast<size_t>(-1);
    Loop& loop_;
    std::function<void()> call_;
    Instant when_;
    size_t slot_ = npos; // in the loop's heap
    uint64_t set_in_ = 0; // the loop's turn
};

// Watches one non-blocking descriptor, edge-triggered, both directions, registered once. Reading code
// tries its system call first and awaits only after EAGAIN. At most one waiter for each direction
// (asserted). The descriptor must stay open as long as the Watch lives.
// Where the kernel takes no further descriptor to watch (ENOSPC, ENOMEM), or none of this kind (EPERM, a
// regular file), the Watch looks at it from time to time instead: a waiter wakes early, as it always may,
// and finds out by trying. A descriptor that is not open is a bug, and a panic.
class Watch {
public:
    enum class Ready : unsigned char { Yes, TimedOut };
    enum class Direction : unsigned char { Read, Write };

    Watch(Loop& loop, int fd);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    // co_await watch.readable(deadline): Ready::Yes once something may be readable (or an error or end
    // is there to be read). May be early: try again and await again.
    class Awaiter;
    Awaiter readable(Deadline deadline);
    Awaiter writable(Deadline deadline);

private:
    friend class Awaiter;
    struct Impl;
    std::shared_ptr<Impl> impl_; // owners: the Watch, and the call that hands out an edge
};

class Loop {
public:
    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    void run();  // until stop(), which may have been called before
    void stop();
    // Runs what is ready, waiting for it no longer than `longest`. False when stop() was called.
    bool run_once(Duration longest);

    // The time when what runs now was woken (or the manual clock's).
    Instant now() const;
    void use_manual_clock(Instant start);
    void advance_manual_clock(Duration by); // expired timers are called in the next turn

    // Calls it from the top level, in this turn or the next; never from inside the caller. What posts
    // again and again leaves the descriptors and timers their turn.
    void post(std::function<void()> call);
    // The same from another thread.
    void post_from_thread(std::function<void()> call);

    // Calls it for each arrival of the signal, from the top level. Replaces an earlier one.
    void on_signal(int signal_number, std::function<void()> call);

    struct Impl;
    Impl& impl() { return *impl_; } // for lib/event alone

private:
    std::unique_ptr<Impl> impl_;
};

// co_await sleep_until(loop, when) / sleep_for(loop, d). With a time that is not ahead it lets everything
// else have a turn: descriptors too.
class SleepAwaiter {
public:
    SleepAwaiter(Loop& loop, Instant when);
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter);
    void await_resume() const noexcept {}

private:
    std::coroutine_handle<> waiter_;
    Timer timer_;
    Instant when_;
};
inline SleepAwaiter sleep_until(Loop& loop, Instant when) { return SleepAwaiter(loop, when); }
inline SleepAwaiter sleep_for(Loop& loop, Duration d) { return SleepAwaiter(loop, loop.now() + d); }

class Watch::Awaiter {
public:
    Awaiter(Watch& watch, Direction direction, Deadline deadline);
    ~Awaiter();
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    bool await_ready() const noexcept;
    void await_suspend(std::coroutine_handle<> waiter);
    Ready await_resume();

private:
    friend struct Watch::Impl;
    void wake(Ready outcome);
    void set_timer();
    void on_timer();
    Watch& watch_;
    Direction direction_;
    Deadline deadline_;
    std::coroutine_handle<> waiter_;
    std::unique_ptr<Timer> timer_;
    Ready outcome_ = Ready::Yes;
};
inline Watch::Awaiter Watch::readable(Deadline deadline)
{
    return Awaiter(*this, Direction::Read, deadline);
}
inline Watch::Awaiter Watch::writable(Deadline deadline)
{
    return Awaiter(*this, Direction::Write, deadline);
}

} // namespace posthouse
