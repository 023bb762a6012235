// Event: lets coroutines of one loop wait for each other. A waiter sleeps until `notify`, or its
// deadline. Waiters are resumed from the loop's top level, never inside notify().
#pragma once

#include "lib/event/loop.h"

#include <coroutine>
#include <memory>

namespace posthouse {

class Event {
public:
    explicit Event(Loop& loop) : loop_(loop) {}
    ~Event();
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    void notify_all();
    void notify_one();
    bool has_waiters() const { return first_ != nullptr; }

    // co_await event.wait(deadline): true when notified, false when the deadline passed.
    // The usual shape: while (!condition) if (!co_await changed.wait(deadline)) ...
    class Awaiter;
    Awaiter wait(Deadline deadline);

private:
    friend class Awaiter;
    Loop& loop_;
    Awaiter* first_ = nullptr;
    Awaiter* last_ = nullptr;
};

class Event::Awaiter {
public:
    Awaiter(Event& event, Deadline deadline);
    ~Awaiter();
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter);
    bool await_resume() const noexcept { return notified_; }

private:
    friend class Event;
    void leave();

    Event* event_; // null when it has left the list
    Awaiter* next_ = nullptr;
    Awaiter* previous_ = nullptr;
    Deadline deadline_;
    Timer timer_;
    std::coroutine_handle<> waiter_;
    bool notified_ = false;
};
inline Event::Awaiter Event::wait(Deadline deadline) { return Awaiter(*this, deadline); }

} // namespace posthouse
