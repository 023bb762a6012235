// Threads for what blocks: see thread_pool.h.
#include "lib/event/thread_pool.h"

#include "lib/log/log.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <signal.h>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace posthouse {

namespace {
// Signals belong to the loop's thread: one that starts another blocks them meanwhile.
class SignalsBlocked {
public:
    SignalsBlocked()
    {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    sigset_t before_;
};
} // namespace

struct ThreadPool::Impl {
    struct Job {
        std::function<void()> work;
        std::function<void()> done;
    };

    Loop& loop;
    const size_t most;
    std::mutex mutex; // guards all below
    std::condition_variable more;
    std::deque<Job> jobs;
    size_t idle = 0;
    bool ending = false;
    std::vector<std::thread> threads;
    bool short_of_threads = false; // and the log says so

    Impl(Loop& its_loop, size_t at_most) : loop(its_loop), most(at_most) {}

    void start_thread()
    {
        const SignalsBlocked blocked;
        try {
            threads.emplace_back([this] { serve(); });
            short_of_threads = false;
        } catch (const std::system_error& refusal) {
            if (!std::exchange(short_of_threads, true))
                log::warning("cannot start a thread, going on with ", threads.size(), ": ", refusal.what());
        }
    }
    // For the loop's own thread, when there is no other.
    void run_here(std::unique_lock<std::mutex>& lock)
    {
        Job job = std::move(jobs.front());
        jobs.pop_front();
        lock.unlock();
        job.work();
        loop.post(std::move(job.done));
    }

    void serve()
    {
        std::unique_lock lock(mutex);
        while (true) {
            ++idle;
            more.wait(lock, [this] { return ending || !jobs.empty(); });
            --idle;
            if (ending)
                return;
            Job job = std::move(jobs.front());
            jobs.pop_front();
            lock.unlock();
            job.work();
            loop.post_from_thread(std::move(job.done));
            job = Job();
            lock.lock();
        }
    }
};

ThreadPool::ThreadPool(Loop& loop, size_t most) : impl_(std::make_unique<Impl>(loop, most)) {}

ThreadPool::~ThreadPool()
{
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->ending = true;
    }
    impl_->more.notify_all();
    for (std::thread& thread : impl_->threads)
        thread.join();
}

void ThreadPool::submit(std::function<void()> work, std::function<void()> done)
{
    std::unique_lock lock(impl_->mutex);
    impl_->jobs.push_back(Impl::Job{std::move(work), std::move(done)});
    if (impl_->idle < impl_->jobs.size() && impl_->threads.size() < impl_->most)
        impl_->start_thread();
    if (impl_->threads.empty())
        impl_->run_here(lock);
    else
        impl_->more.notify_one();
}

} // namespace posthouse
