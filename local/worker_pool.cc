// Users and workers, seen from the router: see worker_pool.h.
#include "local/worker_pool.h"

#include "lib/base/cat.h"

namespace posthouse::local {

namespace {
constexpr Duration remember_user = Duration::seconds(10);
constexpr size_t most_remembered = 10000;
constexpr size_t longest_user_name = 200; // and the spawner takes no request with a longer one
constexpr Duration cleaning_interval = Duration::seconds(5);
} // namespace

struct WorkerPool::Worker {
    explicit Worker(Loop& loop) : changed(loop) {}
    std::unique_ptr<PacketLink> link; // none while it starts
    bool failed = false;              // could not be started, or is gone
    size_t jobs = 0;
    Instant last_used;
    Event changed;
};

// Also when the task that starts it is cancelled: those who wait for it try on their own.
struct WorkerPool::Starting {
    explicit Starting(Worker& its_worker) : worker(its_worker) {}
    Starting(const Starting&) = delete;
    Starting& operator=(const Starting&) = delete;
    ~Starting()
    {
        worker.failed = !worker.link;
        worker.changed.notify_all();
    }
    Worker& worker;
};

// One job's place in a worker.
struct WorkerPool::Place {
    explicit Place(Worker& its_worker) : worker(its_worker) {}
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place()
    {
        --worker.jobs;
        worker.changed.notify_one();
    }
    Worker& worker;
};

// The only job for one mbox file.
struct WorkerPool::Turn {
    explicit Turn(WorkerPool& its_pool) : pool(its_pool) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn()
    {
        if (const auto mine = pool.files_.extract(path))
            mine.mapped()->notify_all();
    }
    WorkerPool& pool;
    std::string path; // empty while it has none
};

Account Account::of_ids(uint32_t uid, uint32_t gid)
{
    Account account;
    account.start = SpawnRequest::Kind::StartIds;
    account.uid = uid;
    account.gid = gid;
    return account;
}

Account Account::of_files()
{
    Account account;
    account.start = SpawnRequest::Kind::StartFiles;
    return account;
}

WorkerPool::WorkerPool(Loop& loop, UniqueFd spawner, Duration max_idle, size_t jobs_at_a_time)
    : loop_(loop), spawner_(loop, std::move(spawner)), max_idle_(max_idle), jobs_at_a_time_(jobs_at_a_time),
      cleaning_(loop, [this] { drop_idle(); })
{
    cleaning_.set(loop_.now() + cleaning_interval);
}

WorkerPool::~WorkerPool() = default;

void WorkerPool::drop_idle()
{
    std::erase_if(workers_, [this](const auto& entry) {
        const Worker& worker = *entry.second;
        return worker.failed || (worker.jobs == 0 && worker.link && worker.last_used + max_idle_ <= loop_.now());
    });
    std::erase_if(users_, [this](const auto& entry) { return entry.second.until <= loop_.now(); });
    cleaning_.set(loop_.now() + cleaning_interval);
}

Task<Result<SpawnReply>> WorkerPool::ask_spawner(SpawnRequest request, UniqueFd& worker, Deadline deadline)
{
    auto answer = co_await spawner_.ask(request.encode(), -1, deadline);
    if (!answer)
        co_return std::move(answer.error()).within("user lookup");
    worker = std::move(answer->fd);
    co_return SpawnReply::decode(answer->bytes);
}

Task<Result<std::optional<Account>>> WorkerPool::find_user(std::string name, Deadline deadline)
{
    if (name.size() > longest_user_name)
        co_return std::optional<Account>();
    const auto known = users_.find(name);
    if (known != users_.end() && known->second.until > loop_.now())
        co_return known->second.account;
    UniqueFd none;
    auto reply = co_await ask_spawner(SpawnRequest(SpawnRequest::Kind::FindUser, name), none, deadline);
    if (!reply)
        co_return std::move(reply.error());
    if (reply->status == SpawnReply::Status::Refused)
        co_return Error(ErrorKind::Temporary, "4.3.0", reply->text);
    std::optional<Account> account;
    if (reply->status == SpawnReply::Status::Ok) {
        account.emplace();
        account->name = name;
        account->mailbox = reply->mailbox;
        account->uid = reply->uid;
        account->gid = reply->gid;
    }
    if (users_.size() < most_remembered)
        users_[name] = Remembered{loop_.now() + remember_user, account};
    co_return account;
}

Task<Result<void>> WorkerPool::start(std::shared_ptr<Worker> worker, Account account, Deadline deadline)
{
    SpawnRequest request(account.start, account.name);
    request.uid = account.uid;
    request.gid = account.gid;
    UniqueFd socket;
    auto reply = co_await ask_spawner(std::move(request), socket, deadline);
    if (!reply)
        co_return std::move(reply.error());
    if (reply->status != SpawnReply::Status::Ok || !socket)
        co_return Error(ErrorKind::Temporary, "4.3.5", reply->text.empty() ? "no such user any more" : reply->text);
    const bool as_found = reply->uid == account.uid && reply->gid == account.gid && reply->mailbox == account.mailbox;
    if (account.start == SpawnRequest::Kind::StartUser && !as_found)
        co_return Error(ErrorKind::Temporary, "4.3.0", cat("user ", account.name, " has changed"));
    worker->link = std::make_unique<PacketLink>(loop_, std::move(socket));
    co_return Result<void>();
}

// A worker that is ready for one more job.
Task<Result<std::shared_ptr<WorkerPool::Worker>>> WorkerPool::worker_for(Account account, Deadline deadline)
{
    while (true) {
        std::shared_ptr<Worker> worker = workers_[account];
        if (!worker || worker->failed || (worker->link && worker->link->broken())) {
            worker = std::make_shared<Worker>(loop_);
            workers_[account] = worker;
            const Starting starting(*worker);
            auto started = co_await start(worker, account, deadline);
            worker->last_used = loop_.now();
            if (!started)
                co_return std::move(started.error());
        }
        if (worker->link && worker->jobs < jobs_at_a_time_) {
            ++worker->jobs;
            co_return worker;
        }
        const bool notified = co_await worker->changed.wait(deadline);
        if (!notified)
            co_return Error::timed_out("delivery worker is busy");
    }
}

Task<Result<void>> WorkerPool::take_turn(std::string path, Turn& turn, Deadline deadline)
{
    for (auto other = files_.find(path); other != files_.end(); other = files_.find(path)) {
        const std::shared_ptr<Event> finished = other->second;
        const bool notified = co_await finished->wait(deadline);
        if (!notified)
            co_return Error::timed_out("mailbox is busy");
    }
    files_[path] = std::make_shared<Event>(loop_);
    turn.path = std::move(path);
    co_return Result<void>();
}

Task<Result<MailboxResult>> WorkerPool::deliver(Account account, MailboxJob job, int message, Deadline deadline)
{
    Turn turn(*this);
    if (job.kind != MailboxJob::Kind::Maildir)
        CO_CHECK(co_await take_turn(job.path, turn, deadline));
    auto found = co_await worker_for(std::move(account), deadline);
    if (!found)
        co_return std::move(found.error());
    const std::shared_ptr<Worker> worker = std::move(*found);
    const Place place(*worker);
    auto answer = co_await worker->link->ask(job.encode(), message, deadline);
    worker->last_used = loop_.now();
    if (!answer)
        co_return std::move(answer.error());
    co_return MailboxResult::decode(answer->bytes);
}

} // namespace posthouse::local
