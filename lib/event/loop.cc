// The event loop over libevent: see loop.h. libevent gives readiness and signals; timers are one heap
// here behind a single libevent timer, so that a test can drive the clock and a deadline that is never
// reached costs two heap operations.
#include "lib/event/loop.h"

#include "lib/event/libevent.h"
#include "lib/log/log.h"

#include <cassert>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <new>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace posthouse {

namespace {
// A chain of wake-ups may go on within one turn, a circle of them may not.
constexpr int most_calls_soon = 10000;
constexpr int most_posted_rounds = 100;
// How often a descriptor is looked at that cannot be watched.
constexpr Duration look_interval = Duration::milliseconds(50);

bool trying_again = false; // what libevent has complained about once
void on_libevent_log(int severity, const char* text)
{
    if (severity >= EVENT_LOG_WARN && !trying_again)
        log::warning("event loop: ", text);
}
} // namespace

struct Loop::Impl {
    libevent::Base base;
    libevent::Event clock_event; // wakes at the earliest timer
    libevent::Event wake_event;  // another thread posted
    int wake_fd = -1;
    bool stopping = false;
    Instant now;
    bool manual = false;

    std::vector<Timer*> heap; // earliest first
    uint64_t turn = 0;        // counts calls of call_expired
    std::vector<std::function<void()>> posted;
    struct Signal {
        Impl* impl = nullptr;
        std::function<void()> call;
        libevent::Event event;
    };
    std::map<int, Signal> signals;

    std::mutex mutex; // guards from_threads
    std::vector<std::function<void()>> from_threads;

    void refresh_clock()
    {
        if (!manual)
            now = Instant::now();
    }

    // What ended a wait, perhaps a long one, must not see the time at which the wait began.
    static void on_signal_event(evutil_socket_t, short, void* signal)
    {
        auto* arrived = static_cast<Signal*>(signal);
        arrived->impl->refresh_clock();
        const auto call = arrived->call; // which may replace itself
        call();
    }

    // ---- the heap
    void place(Timer* timer, size_t slot)
    {
        heap[slot] = timer;
        timer->slot_ = slot;
    }
    void sift_up(Timer* timer, size_t slot)
    {
        while (slot > 0) {
            const size_t parent = (slot - 1) / 2;
            if (heap[parent]->when_ <= timer->when_)
                break;
            place(heap[parent], slot);
            slot = parent;
        }
        place(timer, slot);
    }
    void sift_down(Timer* timer, size_t slot)
    {
        while (true) {
            size_t child = 2 * slot + 1;
            if (child >= heap.size())
                break;
            if (child + 1 < heap.size() && heap[child + 1]->when_ < heap[child]->when_)
                ++child;
            if (timer->when_ <= heap[child]->when_)
                break;
            place(heap[child], slot);
            slot = child;
        }
        place(timer, slot);
    }
    void insert(Timer* timer)
    {
        heap.push_back(timer);
        sift_up(timer, heap.size() - 1);
    }
    void remove(Timer* timer)
    {
        const size_t slot = std::exchange(timer->slot_, Timer::npos);
        Timer* last = heap.back();
        heap.pop_back();
        if (last == timer)
            return;
        if (slot > 0 && last->when_ < heap[(slot - 1) / 2]->when_)
            sift_up(last, slot);
        else
            sift_down(last, slot);
    }
    void call_expired()
    {
        refresh_clock();
        const Instant limit = now;
        ++turn;
        int soon_left = most_calls_soon;
        while (!heap.empty() && heap.front()->when_ <= limit) {
            Timer* timer = heap.front();
            // Set meanwhile: wakes in this turn if it is to be soon, else in the next, after the descriptors.
            if (timer->set_in_ == turn && (timer->when_ != Timer::soon() || --soon_left < 0))
                break;
            remove(timer);
            timer->call_();
        }
    }
    void call_posted()
    {
        {
            const std::lock_guard lock(mutex);
            for (auto& call : from_threads)
                posted.push_back(std::move(call));
            from_threads.clear();
        }
        // What these post runs in the same turn, one round after the other.
        for (int left = most_posted_rounds; left > 0 && !posted.empty(); --left) {
            std::vector<std::function<void()>> round;
            round.swap(posted);
            for (auto& call : round)
                call();
        }
    }
    void arm_clock(Duration longest)
    {
        Duration wait = longest;
        if (!heap.empty()) {
            const Duration until = heap.front()->when_ - now;
            if (until < wait)
                wait = until;
        }
        if (wait < Duration() || !posted.empty())
            wait = Duration();
        timeval tv;
        tv.tv_sec = wait.whole_seconds();
        tv.tv_usec = (wait.ns() % 1000000000 + 999) / 1000;
        if (tv.tv_usec >= 1000000) {
            ++tv.tv_sec;
            tv.tv_usec -= 1000000;
        }
        event_add(clock_event.get(), &tv);
    }
};

namespace {
void on_clock(evutil_socket_t, short, void*) {}

void on_wake(evutil_socket_t fd, short, void*)
{
    uint64_t count;
    [[maybe_unused]] ssize_t got = ::read(fd, &count, sizeof count);
}

} // namespace

Loop::Loop() : impl_(std::make_unique<Impl>())
{
    event_set_log_callback(on_libevent_log);
    impl_->base.reset(event_base_new());
    impl_->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (!impl_->base || impl_->wake_fd < 0)
        log::fatal(cat("cannot make an event loop: ", strerror(errno)));
    impl_->clock_event.reset(evtimer_new(impl_->base.get(), on_clock, nullptr));
    impl_->wake_event.reset(event_new(impl_->base.get(), impl_->wake_fd, EV_READ | EV_PERSIST, on_wake, nullptr));
    event_add(impl_->wake_event.get(), nullptr);
    impl_->now = Instant::now();
}

Loop::~Loop()
{
    impl_->signals.clear();
    impl_->clock_event.reset();
    impl_->wake_event.reset();
    ::close(impl_->wake_fd);
}

bool Loop::run_once(Duration longest)
{
    impl_->call_posted();
    if (!impl_->stopping) {
        impl_->refresh_clock();
        impl_->arm_clock(longest);
        event_base_loop(impl_->base.get(), EVLOOP_ONCE);
        impl_->refresh_clock();
        impl_->call_expired();
        impl_->call_posted();
    }
    return !impl_->stopping;
}

void Loop::run()
{
    while (run_once(Duration::seconds(3600)))
        ;
    impl_->stopping = false;
}

void Loop::stop()
{
    impl_->stopping = true;
    event_base_loopbreak(impl_->base.get());
}

Instant Loop::now() const { return impl_->now; }

void Loop::use_manual_clock(Instant start)
{
    impl_->manual = true;
    impl_->now = start;
}

void Loop::advance_manual_clock(Duration by) { impl_->now = impl_->now + by; }

void Loop::post(std::function<void()> call) { impl_->posted.push_back(std::move(call)); }

void Loop::post_from_thread(std::function<void()> call)
{
    bool first;
    {
        const std::lock_guard lock(impl_->mutex);
        first = impl_->from_threads.empty();
        impl_->from_threads.push_back(std::move(call));
    }
    if (!first)
        return;
    const uint64_t one = 1;
    [[maybe_unused]] ssize_t put = ::write(impl_->wake_fd, &one, sizeof one);
}

void Loop::on_signal(int signal_number, std::function<void()> call)
{
    auto& entry = impl_->signals[signal_number];
    entry.event.reset();
    entry.impl = impl_.get();
    entry.call = std::move(call);
    entry.event.reset(evsignal_new(impl_->base.get(), signal_number, Impl::on_signal_event, &entry));
    event_add(entry.event.get(), nullptr);
}

// ---- timers

Timer::Timer(Loop& loop, std::function<void()> call) : loop_(loop), call_(std::move(call)) {}

Timer::~Timer() { cancel(); }

void Timer::set(Instant when)
{
    cancel();
    if (when.is_never())
        return;
    when_ = when;
    set_in_ = loop_.impl().turn;
    loop_.impl().insert(this);
}

void Timer::cancel()
{
    if (active())
        loop_.impl().remove(this);
}

SleepAwaiter::SleepAwaiter(Loop& loop, Instant when)
    : timer_(loop, [this] { waiter_.resume(); }), when_(when)
{
}

void SleepAwaiter::await_suspend(std::coroutine_handle<> waiter)
{
    waiter_ = waiter;
    timer_.set(when_);
}

// ---- readiness

// Shared with edge() while it runs: a waiter that is woken may destroy the Watch.
struct Watch::Impl : std::enable_shared_from_this<Watch::Impl> {
    Loop& loop;
    libevent::Event event; // null once the Watch is gone
    // Null until somebody has waited to write: a UNIX socket tells each time that its peer has read something.
    libevent::Event write_event;
    bool ready[2] = {false, false}; // an edge was seen that no one has waited for since
    Awaiter* waiting[2] = {nullptr, nullptr};

    bool watched = false; // else it is looked at from time to time

    explicit Impl(Loop& its_loop) : loop(its_loop) {}
    ~Impl() { assert(!waiting[0] && !waiting[1]); }

    void begin()
    {
        watched = event_add(event.get(), nullptr) == 0 && (!write_event || event_add(write_event.get(), nullptr) == 0);
        if (!watched && ::fcntl(event_get_fd(event.get()), F_GETFD) < 0)
            log::panic("a watch of a descriptor that is not open");
    }
    void watch_writing()
    {
        if (write_event)
            return;
        write_event = new_event(event_get_fd(event.get()), EV_WRITE);
        begin();
    }
    libevent::Event new_event(int fd, short what)
    {
        libevent::Event made(event_new(loop.impl().base.get(), fd, static_cast<short>(what | EV_ET | EV_PERSIST), on_edge, this));
        if (!made)
            throw std::bad_alloc();
        return made;
    }
    void try_again()
    {
        trying_again = true;
        begin();
        trying_again = false;
    }

    void edge(Direction direction)
    {
        const auto keep = shared_from_this();
        const auto side = static_cast<size_t>(direction);
        ready[side] = true;
        if (waiting[side])
            waiting[side]->wake(Ready::Yes);
    }
    static void on_edge(evutil_socket_t, short what, void* self)
    {
        auto* watch = static_cast<Impl*>(self);
        watch->loop.impl().refresh_clock();
        watch->edge((what & EV_WRITE) != 0 ? Direction::Write : Direction::Read);
    }
};

Watch::Watch(Loop& loop, int fd) : impl_(std::make_shared<Impl>(loop))
{
    impl_->event = impl_->new_event(fd, EV_READ);
    impl_->begin();
}

Watch::~Watch()
{
    impl_->write_event.reset();
    impl_->event.reset();
}

Watch::Awaiter::Awaiter(Watch& watch, Direction direction, Deadline deadline)
    : watch_(watch), direction_(direction), deadline_(deadline)
{
}

Watch::Awaiter::~Awaiter()
{
    Awaiter*& waiting = watch_.impl_->waiting[static_cast<size_t>(direction_)];
    if (waiting == this)
        waiting = nullptr;
}

bool Watch::Awaiter::await_ready() const noexcept
{
    return watch_.impl_->ready[static_cast<size_t>(direction_)];
}

void Watch::Awaiter::await_suspend(std::coroutine_handle<> waiter)
{
    Awaiter*& waiting = watch_.impl_->waiting[static_cast<size_t>(direction_)];
    assert(!waiting);
    waiting = this;
    waiter_ = waiter;
    if (direction_ == Direction::Write)
        watch_.impl_->watch_writing();
    if (deadline_.is_never() && watch_.impl_->watched)
        return;
    timer_ = std::make_unique<Timer>(watch_.impl_->loop, [this] { on_timer(); });
    set_timer();
}

void Watch::Awaiter::set_timer()
{
    const auto& watch = *watch_.impl_;
    const Deadline next_look = Deadline::at(watch.loop.now() + look_interval);
    timer_->set(watch.watched ? deadline_.when() : deadline_.tighter(next_look).when());
}

void Watch::Awaiter::on_timer()
{
    auto& watch = *watch_.impl_;
    if (deadline_.passed(watch.loop.now())) {
        wake(Ready::TimedOut);
        return;
    }
    if (!watch.watched)
        watch.try_again(); // there may be room now
    wake(Ready::Yes);
}

void Watch::Awaiter::wake(Ready outcome)
{
    outcome_ = outcome;
    watch_.impl_->waiting[static_cast<size_t>(direction_)] = nullptr;
    if (timer_)
        timer_->cancel();
    waiter_.resume();
}

Watch::Ready Watch::Awaiter::await_resume()
{
    if (outcome_ == Ready::Yes)
        watch_.impl_->ready[static_cast<size_t>(direction_)] = false;
    return outcome_;
}

} // namespace posthouse
