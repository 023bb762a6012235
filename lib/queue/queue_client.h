// QueueClient: how smtpd, pickup and local put messages into the queue. It keeps a few leased slots in
// hand (asked of qmgr ahead of need), so that begin() usually does not wait, and none of these programs
// needs to open a file. It reconnects when qmgr restarts; leases, and messages that were committed
// meanwhile, survive that. One for each process; outlives its messages' tasks but not its messages: a
// NewMessage may be destroyed after it.
#pragma once

#include "lib/config/config.h"
#include "lib/event/loop.h"
#include "lib/event/thread_pool.h"
#include "lib/queue/new_message.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace posthouse::queue {

class QueueClientLimits {
public:
    QueueClientLimits() = default;
    explicit QueueClientLimits(const config::Config& config)
        : most_leases(static_cast<size_t>(config.number("queue_lease_limit")))
    {
        fewest_leases = std::min(fewest_leases, most_leases);
    }

    size_t fewest_leases = 4;       // asked for at first
    size_t most_leases = 64;        // queue_lease_limit: kept in hand under load
    size_t buffer = 65536;          // content kept in memory before it goes to the file
    uint64_t slot_size = 65536;     // queue_slot_size: a file that grew beyond goes back to qmgr
    Duration reconnect_delay = Duration::milliseconds(200); // grows to 16 times of it
};

class QueueClient final : public MessageSource {
public:
    // `role` is the program's name, for qmgr's log. Nothing happens before prefetch() or begin().
    QueueClient(Loop& loop, ThreadPool& pool, std::string socket_path, std::string role,
                QueueClientLimits limits = QueueClientLimits());
    ~QueueClient() override;
    QueueClient(const QueueClient&) = delete;
    QueueClient& operator=(const QueueClient&) = delete;

    Task<Result<std::unique_ptr<NewMessage>>> begin(Deadline deadline) override;

    // Connects and fetches the first leases; called once at start, before the sandbox closes.
    void prefetch();

    bool connected() const;
    // Free bytes on the queue's file system as seen last (at most a second old while a lease is in hand);
    // UINT64_MAX when not known.
    uint64_t free_bytes();
    // Commits that run and notices that qmgr has not been sent: a process waits for 0 before it exits.
    size_t unfinished() const;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_; // owners: the client, and its messages while they live
};

} // namespace posthouse::queue
