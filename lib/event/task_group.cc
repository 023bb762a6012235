// Owning tasks that run on their own: see task_group.h.
#include "lib/event/task_group.h"

#include "lib/log/log.h"

#include <cassert>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <utility>

namespace posthouse {

namespace {

// The outermost coroutine of a spawned task. It lives in its group's list and ends suspended.
struct Runner {
    struct promise_type {
        Runner* runner = nullptr;
        Runner get_return_object();
        std::suspend_always initial_suspend() const noexcept { return {}; }
        struct Final {
            Final() noexcept {}
            bool await_ready() const noexcept { return false; }
            void await_suspend(std::coroutine_handle<promise_type> self) const noexcept;
            void await_resume() const noexcept {}
        };
        Final final_suspend() const noexcept { return Final(); }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::terminate(); } // run() catches everything
    };
    std::coroutine_handle<promise_type> handle;
};

Runner Runner::promise_type::get_return_object()
{
    return Runner{std::coroutine_handle<promise_type>::from_promise(*this)};
}

Runner run(Task<void> task)
{
    try {
        co_await task;
    } catch (const std::exception& bug) {
        log::panic_event(bug.what());
    } catch (...) {
        log::panic_event("unknown exception");
    }
}

struct Entry : Runner {
    Entry(Runner runner, TaskGroup::Impl& its_group) : Runner(runner), group(&its_group)
    {
        handle.promise().runner = this;
    }
    ~Entry() { handle.destroy(); }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    TaskGroup::Impl* group;
    uint64_t number = 0; // grows along the group's life
    Entry* next = nullptr;
    Entry* previous = nullptr;
};

} // namespace

struct TaskGroup::Impl : std::enable_shared_from_this<TaskGroup::Impl> {
    Loop& loop;
    Entry* running = nullptr;  // latest first
    Entry* finished = nullptr; // singly linked by next
    size_t count = 0;
    bool reap_posted = false;
    uint64_t spawned = 0;      // as a number
    uint64_t cancelled_to = 0; // numbers up to this are to be destroyed; 0: none
    std::coroutine_handle<> drain_waiter;

    explicit Impl(Loop& its_loop) : loop(its_loop) {}

    void add(Entry* entry)
    {
        entry->number = ++spawned;
        entry->next = running;
        if (running)
            running->previous = entry;
        running = entry;
        ++count;
    }
    void unlink(Entry* entry)
    {
        (entry->previous ? entry->previous->next : running) = entry->next;
        if (entry->next)
            entry->next->previous = entry->previous;
        --count;
    }
    void on_finished(Entry* entry)
    {
        unlink(entry);
        entry->next = finished;
        finished = entry;
        post_reap();
    }
    void post_reap()
    {
        if (std::exchange(reap_posted, true))
            return;
        loop.post([self = shared_from_this()] { self->reap(); });
    }
    void reap()
    {
        reap_posted = false;
        if (cancelled_to > 0)
            destroy_running(std::exchange(cancelled_to, 0));
        destroy_finished();
        if (drained() && drain_waiter)
            std::exchange(drain_waiter, nullptr).resume();
    }
    bool drained() const { return count == 0 && !finished; }
    void destroy_finished()
    {
        while (Entry* entry = finished) {
            finished = entry->next;
            delete entry;
        }
    }
    Entry* latest_up_to(uint64_t number) const
    {
        Entry* entry = running;
        while (entry && entry->number > number)
            entry = entry->next;
        return entry;
    }
    void destroy_running(uint64_t up_to)
    {
        // Looked for anew each time: what a frame destroys may spawn or end others.
        while (Entry* entry = latest_up_to(up_to)) {
            unlink(entry);
            delete entry;
        }
    }
};

void Runner::promise_type::Final::await_suspend(std::coroutine_handle<promise_type> self) const noexcept
{
    auto* entry = static_cast<Entry*>(self.promise().runner);
    entry->group->on_finished(entry);
}

TaskGroup::TaskGroup(Loop& loop) : impl_(std::make_shared<Impl>(loop)) {}

TaskGroup::~TaskGroup()
{
    impl_->drain_waiter = nullptr;
    impl_->destroy_running(UINT64_MAX);
    impl_->destroy_finished();
}

void TaskGroup::spawn(Task<void> task)
{
    auto* entry = new Entry(run(std::move(task)), *impl_);
    impl_->add(entry);
    entry->handle.resume();
}

void TaskGroup::cancel_all()
{
    impl_->cancelled_to = impl_->spawned;
    impl_->post_reap();
}

size_t TaskGroup::size() const { return impl_->count; }

TaskGroup::DrainAwaiter TaskGroup::drained() { return DrainAwaiter(*impl_); }

TaskGroup::DrainAwaiter::~DrainAwaiter()
{
    if (waiter_ && group_.drain_waiter == waiter_)
        group_.drain_waiter = nullptr;
}

bool TaskGroup::DrainAwaiter::await_ready() const noexcept { return group_.drained(); }

void TaskGroup::DrainAwaiter::await_suspend(std::coroutine_handle<> waiter)
{
    assert(!group_.drain_waiter);
    waiter_ = waiter;
    group_.drain_waiter = waiter;
}

} // namespace posthouse
