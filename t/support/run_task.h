// Runs one Task on a loop until it ends and returns its result: for unit tests.
#pragma once

#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/event/task_group.h"

#include <optional>
#include <stdexcept>

namespace posthouse::test {

template <class T>
Task<void> store_result(Task<T> task, std::optional<T>& into)
{
    into.emplace(co_await task);
}

inline Task<void> store_end(Task<void> task, bool& ended)
{
    co_await task;
    ended = true;
}

// Fails the test by an exception when the task has not ended within `longest`.
template <class T>
T run_task(Loop& loop, Task<T> task, Duration longest = Duration::seconds(10))
{
    std::optional<T> result;
    TaskGroup group(loop);
    group.spawn(store_result(std::move(task), result));
    const Instant limit = Instant::now() + longest;
    while (!result && Instant::now() < limit)
        loop.run_once(Duration::milliseconds(20));
    if (!result)
        throw std::runtime_error("the task did not end in time");
    return std::move(*result);
}

inline void run_task(Loop& loop, Task<void> task, Duration longest = Duration::seconds(10))
{
    bool ended = false;
    TaskGroup group(loop);
    group.spawn(store_end(std::move(task), ended));
    const Instant limit = Instant::now() + longest;
    while (!ended && Instant::now() < limit)
        loop.run_once(Duration::milliseconds(20));
    if (!ended)
        throw std::runtime_error("the task did not end in time");
}

} // namespace posthouse::test
