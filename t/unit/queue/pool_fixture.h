// A loop, threads, a queue directory and a SlotPool over it, for the tests of the store.
#pragma once

#include "lib/event/loop.h"
#include "lib/event/thread_pool.h"
#include "lib/queue/disk.h"
#include "t/support/catch.h"
#include "t/support/run_task.h"
#include "t/support/temp_queue.h"

#include <memory>
#include <string>

namespace posthouse::test {

class PoolFixture {
public:
    PoolFixture() : threads(loop, 4)
    {
        limits.slot_size = 16384;
        limits.journal_size = 65536;
        limits.create_batch = 8;
        limits.journal_delay = Duration::milliseconds(5);
        limits.locked_recheck = Duration::milliseconds(30);
    }

    // A new life of qmgr: what the old one only had in memory is gone.
    void start(queue::Disk* disk = nullptr)
    {
        stop();
        listener = RecordingListener();
        open_pool(disk);
        auto scanned = run_task(loop, pool->scan());
        REQUIRE(scanned);
    }
    void open_pool(queue::Disk* disk) // not scanned yet
    {
        auto opened = queue::SlotPool::open(loop, threads, directory.path(), limits, listener, disk);
        REQUIRE(opened);
        pool = *std::move(opened);
    }
    void stop()
    {
        pool.reset();
        turn(Duration::milliseconds(5)); // work of the old one in the thread pool
    }
    void turn(Duration longest)
    {
        const Instant until = Instant::now() + longest;
        do
            loop.run_once(Duration::milliseconds(1));
        while (Instant::now() < until);
    }
    template <class Condition>
    void turn_until(Condition condition)
    {
        const Instant until = Instant::now() + Duration::seconds(10);
        bool met = condition();
        for (; !met && Instant::now() < until; met = condition())
            loop.run_once(Duration::milliseconds(5));
        REQUIRE(met);
    }
    void settle() { REQUIRE(run_task(loop, pool->settle())); }

    std::unique_ptr<queue::NewMessage> begin()
    {
        auto message = run_task(loop, pool->begin(Deadline::after(Duration::seconds(5))));
        REQUIRE(message);
        return *std::move(message);
    }
    // Queues one as qmgr's own; returns its number.
    uint64_t queue_message(const std::string& content, mail::Envelope envelope = sample_envelope())
    {
        auto message = begin();
        REQUIRE(run_task(loop, message->append(content)));
        REQUIRE(run_task(loop, message->commit(std::move(envelope), smtp::ContentFacts(), Deadline::never())));
        const uint64_t number = *queue::number_of(message->id());
        turn_until([&] { return pool->is_live(number, message->id()); });
        return number;
    }
    std::string path(uint64_t number) const { return cat(directory.path(), '/', queue::slot_path(number)); }

    TempDirectory directory;
    Loop loop;
    ThreadPool threads;
    queue::SlotPoolLimits limits;
    RecordingListener listener;
    std::unique_ptr<queue::SlotPool> pool;
};

} // namespace posthouse::test
