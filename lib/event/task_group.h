// TaskGroup: owns the tasks that run on their own (sessions, deliveries). Nothing is ever detached: a
// group waits for its tasks or cancels them. Last member of the object whose `this` they use.
//
// A finished or cancelled frame is destroyed from the loop's top level, never inside its own call tree.
#pragma once

#include "lib/event/loop.h"
#include "lib/event/task.h"

#include <cstddef>
#include <memory>

namespace posthouse {

class TaskGroup {
public:
    explicit TaskGroup(Loop& loop);
    // Destroys what still runs, at once: only from the loop's top level, or outside of it.
    ~TaskGroup();
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;

    // Starts it now, until its first suspension. What the task was given must be owned by it (values),
    // or outlive the group. An exception that leaves it is logged as a bug, and the task is over.
    void spawn(Task<void> task);

    // Destroys all tasks that run now, at the loop's top level (soon). Those spawned afterwards stay.
    void cancel_all();

    size_t size() const; // running

    // co_await group.drained(): when no task runs and nothing that they were given is left. One waiter
    // at a time.
    class DrainAwaiter;
    DrainAwaiter drained();

    struct Impl;

private:
    std::shared_ptr<Impl> impl_; // owners: the group, and the functions it has posted to the loop
};

class TaskGroup::DrainAwaiter {
public:
    explicit DrainAwaiter(Impl& group) : group_(group) {}
    ~DrainAwaiter();
    DrainAwaiter(const DrainAwaiter&) = delete;
    DrainAwaiter& operator=(const DrainAwaiter&) = delete;
    bool await_ready() const noexcept;
    void await_suspend(std::coroutine_handle<> waiter);
    void await_resume() const noexcept {}

private:
    Impl& group_;
    std::coroutine_handle<> waiter_;
};

} // namespace posthouse
