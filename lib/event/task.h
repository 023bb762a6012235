// Task<T>: the only coroutine type. Lazy (starts when awaited), move-only, owns its frame, one awaiter,
// one thread. Destroying a Task cancels the work: only destructors run, and every awaiter deregisters
// itself in its own. Frames may be destroyed from the loop's top level only, never from inside their
// own call tree; TaskGroup (task_group.h) sees to that for work that is not awaited at once.
//
// How it resumes: `co_await task` runs the child inline. A child that finishes without suspending
// returns control by `await_suspend` returning false; one that suspended resumes its parent from its
// final awaiter. Symmetric transfer is not used: g++ 12 makes no tail call of it at -O0, -O1, -Og or
// under ASan, and long loops overflow the stack.
#pragma once

#include <coroutine>
#include <cstdlib>
#include <exception>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace posthouse {

template <class T>
class Task;

namespace task_detail {

// Frames alive now, for the tests that cancel everywhere and count what is left.
inline long live_frames = 0;

void* allocate_frame(size_t size);
void free_frame(void* frame, size_t size) noexcept;

struct PromiseBase {
    std::coroutine_handle<> parent;
    bool parent_suspended = false;
    std::exception_ptr exception;

    PromiseBase() { ++live_frames; }
    ~PromiseBase() { --live_frames; }
    PromiseBase(const PromiseBase&) = delete;
    PromiseBase& operator=(const PromiseBase&) = delete;

    static void* operator new(size_t size) { return allocate_frame(size); }
    static void operator delete(void* frame, size_t size) { free_frame(frame, size); }

    struct FinalAwaiter {
        FinalAwaiter() noexcept {}
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        void await_suspend(std::coroutine_handle<Promise> self) const noexcept
        {
            // Resuming the parent may destroy this frame: nothing of it is touched afterwards.
            PromiseBase& promise = self.promise();
            if (promise.parent_suspended)
                promise.parent.resume();
        }
        void await_resume() const noexcept {}
    };

    std::suspend_always initial_suspend() const noexcept { return {}; }
    FinalAwaiter final_suspend() const noexcept { return FinalAwaiter(); }
    void unhandled_exception() { exception = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
    std::optional<T> value;
    Task<T> get_return_object();
    template <class U>
        requires std::is_convertible_v<U&&, T>
    void return_value(U&& result)
    {
        value.emplace(std::forward<U>(result));
    }
    T take()
    {
        if (exception)
            std::rethrow_exception(exception);
        return std::move(*value);
    }
};

template <>
struct Promise<void> : PromiseBase {
    Task<void> get_return_object();
    void return_void() const noexcept {}
    void take() const
    {
        if (exception)
            std::rethrow_exception(exception);
    }
};

} // namespace task_detail

template <class T = void>
class [[nodiscard]] Task {
public:
    using promise_type = task_detail::Promise<T>;

    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Task& operator=(Task&& other) noexcept
    {
        if (this != &other) {
            destroy();
            handle_ = std::exchange(other.handle_, nullptr);
        }
        return *this;
    }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task() { destroy(); }

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> parent)
    {
        auto& promise = handle_.promise();
        promise.parent = parent;
        handle_.resume();
        if (handle_.done())
            return false;
        promise.parent_suspended = true;
        return true;
    }
    T await_resume() { return handle_.promise().take(); }

private:
    friend struct task_detail::Promise<T>;
    explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
    void destroy()
    {
        if (handle_)
            handle_.destroy();
        handle_ = nullptr;
    }

    std::coroutine_handle<promise_type> handle_;
};

namespace task_detail {
template <class T>
Task<T> Promise<T>::get_return_object()
{
    return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object()
{
    return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}
} // namespace task_detail

} // namespace posthouse
