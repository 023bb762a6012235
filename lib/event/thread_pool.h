// ThreadPool: runs what blocks (fsync, getpwnam, password hashing, sqlite) beside the loop. The function
// gets nothing of the loop's but what it owns. Cancelling the waiter does not stop a function that has
// begun: its result is dropped, so it must own all that it touches.
#pragma once

#include "lib/event/loop.h"

#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace posthouse {

class ThreadPool {
public:
    // Threads start when there is work, up to `most`.
    ThreadPool(Loop& loop, size_t most);
    ~ThreadPool(); // waits for functions that have begun; those that have not are dropped
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    // Runs `work` in a thread, then `done` on the loop. The coroutine form is `in_pool` below. When the
    // system gives no thread at all, `work` is run here and now: late for the others, but not lost.
    void submit(std::function<void()> work, std::function<void()> done);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

template <class T>
class PoolAwaiter {
public:
    PoolAwaiter(ThreadPool& pool, std::function<T()> work)
        : pool_(pool), shared_(std::make_shared<Shared>())
    {
        shared_->work = std::move(work);
    }
    ~PoolAwaiter() { shared_->waiter = nullptr; }
    PoolAwaiter(const PoolAwaiter&) = delete;
    PoolAwaiter& operator=(const PoolAwaiter&) = delete;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter)
    {
        shared_->waiter = waiter;
        pool_.submit([shared = shared_] { shared->run(); },
                     [shared = shared_] {
                         if (auto handle = std::exchange(shared->waiter, nullptr))
                             handle.resume();
                     });
    }
    T await_resume() // throws what the work threw
    {
        if (shared_->exception)
            std::rethrow_exception(shared_->exception);
        return std::move(*shared_->result);
    }

private:
    // Owners: the awaiter and the two functions in the pool. `waiter` belongs to the loop's thread.
    struct Shared {
        std::function<T()> work;
        std::optional<T> result;
        std::exception_ptr exception;
        std::coroutine_handle<> waiter;

        void run()
        {
            try {
                result.emplace(work());
            } catch (...) {
                exception = std::current_exception();
            }
        }
    };
    ThreadPool& pool_;
    std::shared_ptr<Shared> shared_;
};

// std::function<Result<void>()> sync = ...;   // named first: the rule of STYLE for co_await
// auto done = co_await in_pool(pool, std::move(sync));
template <class T>
PoolAwaiter<T> in_pool(ThreadPool& pool, std::function<T()> work)
{
    return PoolAwaiter<T>(pool, std::move(work));
}

} // namespace posthouse
