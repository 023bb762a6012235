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
    ~Event(); // nobody waits any more; those that are woken and not resumed yet may still be
    Event(const Event&) = delete;
    Event& operator=(const Event&) = delete;

    void notify_all();
    // Wakes the one that has waited longest. When that one is destroyed before it runs, the next one.
    void notify_one();
    bool has_waiters() const { return waiting_.first != nullptr; }

    // auto notified = co_await event.wait(deadline);   // false when the deadline passed
    // The usual shape, since what was true at the notice may have changed when the waiter runs:
    //     while (!condition) {
    //         auto notified = co_await changed.wait(deadline);
    //         if (!notified) ...
    //     }
    class Awaiter;
    Awaiter wait(Deadline deadline);

private:
    friend class Awaiter;
    struct List {
        Awaiter* first = nullptr;
        Awaiter* last = nullptr;
        void add(Awaiter& awaiter);
        void remove(Awaiter& awaiter);
    };
    Awaiter* wake_first();

    Loop& loop_;
    List waiting_;
    List woken_; // until they are resumed
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
    void resume();

    Event& event_;
    List* in_ = nullptr; // null before it waits, once it is resumed, and when the event is gone
    Awaiter* next_ = nullptr;
    Awaiter* previous_ = nullptr;
    Deadline deadline_;
    Timer timer_;
    std::coroutine_handle<> waiter_;
    bool notified_ = false;
    bool passes_on_ = false; // the notice was for one waiter, whichever
};
inline Event::Awaiter Event::wait(Deadline deadline) { return Awaiter(*this, deadline); }

} // namespace posthouse
