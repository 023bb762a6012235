// WorkerPool: the router's side of users and workers. Looks users up (by the spawner, with a short
// memory), keeps one worker process for each account, gives it jobs, and lets it go when it is idle.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/event/loop.h"
#include "lib/event/notify.h"
#include "lib/event/task.h"
#include "local/mailbox_job.h"
#include "local/packet_link.h"
#include "local/spawn_protocol.h"

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace posthouse::local {

// For whom a worker is wanted, in the spawner's terms.
class Account {
public:
    Account() = default;
    static Account of_ids(uint32_t uid, uint32_t gid); // virtual mailboxes
    static Account of_files();                         // files named in aliases(5)

    SpawnRequest::Kind start = SpawnRequest::Kind::StartUser;
    std::string name; // of the user
    // Of a user: as the spawner found it, for a worker's mandate is one mailbox. Else the ids asked for.
    std::string mailbox;
    uint32_t uid = 0;
    uint32_t gid = 0;

    auto operator<=>(const Account&) const = default;
};

class WorkerPool {
public:
    WorkerPool(Loop& loop, UniqueFd spawner, Duration max_idle, size_t jobs_at_a_time);
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    // nullopt: there is no such user. Errors are temporary.
    Task<Result<std::optional<Account>>> find_user(std::string name, Deadline deadline);

    // `message` must stay open until the task ends. An Error is temporary: whether the message was
    // delivered is then not known.
    Task<Result<MailboxResult>> deliver(Account account, MailboxJob job, int message, Deadline deadline);

    bool usable() const { return !spawner_.broken(); } // else the process has to start anew
    Loop& loop() { return loop_; }
    size_t workers() const { return workers_.size(); }

private:
    struct Worker;
    struct Starting;
    struct Place;
    struct Turn;
    struct Remembered {
        Instant until;
        std::optional<Account> account;
    };
    Task<Result<SpawnReply>> ask_spawner(SpawnRequest request, UniqueFd& worker, Deadline deadline);
    Task<Result<std::shared_ptr<Worker>>> worker_for(Account account, Deadline deadline);
    Task<Result<void>> take_turn(std::string path, Turn& turn, Deadline deadline);
    Task<Result<void>> start(std::shared_ptr<Worker> worker, Account account, Deadline deadline);
    void drop_idle();

    Loop& loop_;
    PacketLink spawner_;
    Duration max_idle_;
    size_t jobs_at_a_time_;
    std::map<std::string, Remembered> users_;
    std::map<Account, std::shared_ptr<Worker>> workers_; // owners: this, and the deliveries that use it
    // mbox files with a job under way: the next one waits here, not for a lock. Owners of an Event: this
    // and those who wait for it.
    std::map<std::string, std::shared_ptr<Event>> files_;
    Timer cleaning_;
};

} // namespace posthouse::local
