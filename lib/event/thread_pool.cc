// Threads for what blocks: see thread_pool.h.
#include "lib/event/thread_pool.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <signal.h>
#include <thread>
#include <vector>

namespace posthouse {

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

    Impl(Loop& its_loop, size_t at_most) : loop(its_loop), most(at_most) {}

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
    const std::lock_guard lock(impl_->mutex);
    impl_->jobs.push_back(Impl::Job{std::move(work), std::move(done)});
    if (impl_->idle < impl_->jobs.size() && impl_->threads.size() < impl_->most) {
        // Signals belong to the loop's thread.
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        impl_->threads.emplace_back([impl = impl_.get()] { impl->serve(); });
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }
    impl_->more.notify_one();
}

} // namespace posthouse
