// The whole of qmgr but its process: a real queue directory, routing, index and notices, with agents that
// are coroutines of the test. It can be stopped in order, killed, and started again over the same files.
#pragma once

#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/config/config.h"
#include "lib/event/thread_pool.h"
#include "lib/queue/slot_pool.h"
#include "qmgr/notice_writer.h"
#include "qmgr/probe_desk.h"
#include "qmgr/route_finder.h"
#include "qmgr/scheduler.h"
#include "qmgr/settings.h"
#include "qmgr/waiting_index.h"
#include "t/support/catch.h"
#include "t/support/run_task.h"
#include "t/support/temp_queue.h"
#include "t/unit/qmgr/fake_agents.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <utility>
#include <vector>

namespace posthouse::test {

inline constexpr const char* bench_main_cf = R"(
myhostname = mail.example.org
mydestination =
alias_maps =
local_recipient_maps =
virtual_alias_domains = aliases.example.net
virtual_alias_maps =
minimal_backoff_time = 1s
maximal_backoff_time = 2s
bounce_queue_lifetime = 1h
transport_maps = inline:{ {broken.example=error:5.1.1 nobody here} {later.example=retry:4.2.1 not now} {nowhere.example=discard:gone} {other.example=other:} }
)";
inline constexpr const char* bench_master_cf = "smtp unix - - n - 2 smtp\nother unix - - n - 1 smtp\n";

class Bench {
public:
    explicit Bench(const std::string& settings = "")
    {
        namespace fs = std::filesystem;
        for (const char* name : {"queue", "queue/private", "queue/public", "data"})
            fs::create_directory(cat(folder.path(), '/', name));
        REQUIRE(replace_file(cat(folder.path(), "/main.cf"),
                             cat(bench_main_cf, "queue_directory = ", folder.path(), "/queue\ndata_directory = ",
                                 folder.path(), "/data\n", settings, "\n"),
                             0644));
        REQUIRE(replace_file(cat(folder.path(), "/master.cf"), bench_master_cf, 0644));
        std::vector<config::Fault> faults;
        auto loaded = config::Config::load(folder.path(), config::Overrides(), faults);
        for (const config::Fault& fault : faults)
            UNSCOPED_INFO(fault.to_text());
        REQUIRE(loaded);
        config = std::move(*loaded);
        agents.emplace(loop, cat(folder.path(), "/queue/private/smtp"));
        start();
    }

    void start()
    {
        prepare();
        REQUIRE(run_task(loop, part->pool->scan(), Duration::seconds(60))); // a sync of the file system
        part->scheduler->scan_ended();
    }
    void prepare()
    {
        auto read = qmgr::Settings::from_config(*config);
        REQUIRE(read);
        part.emplace();
        part->settings = std::move(*read);
        const table::Context context(loop, threads, *config);
        part->routes = *qmgr::RouteFinder::open(loop, *config, context);
        part->probes = std::make_unique<qmgr::ProbeDesk>(loop, *config, context);
        part->index = *qmgr::WaitingIndex::open(loop, part->settings.data_directory);
        part->scheduler = std::make_unique<qmgr::Scheduler>(loop, part->settings, *part->routes, *part->probes,
                                                            *part->index);
        part->pool = *queue::SlotPool::open(loop, threads, part->settings.queue_directory, part->settings.pool,
                                            *part->scheduler);
        part->notices = std::make_unique<qmgr::NoticeWriter>(threads, *part->pool, part->settings);
        REQUIRE(part->notices->open_tables(*config, context));
        part->scheduler->attach(*part->pool, *part->notices);
    }
    void stop()
    {
        part->scheduler->pause();
        part->scheduler->leave_in_order();
        part.reset();
    }
    void kill() { part.reset(); }

    qmgr::Scheduler& scheduler() { return *part->scheduler; }

    std::string put(mail::Envelope envelope, std::string content = "Subject: test\r\n\r\nHello.\r\n")
    {
        return run_task(loop, commit(std::move(envelope), std::move(content)));
    }
    std::string put(const std::string& sender, const std::vector<std::string>& recipients)
    {
        mail::Envelope envelope;
        envelope.sender = sender;
        for (const std::string& recipient : recipients)
            envelope.recipients.emplace_back(recipient);
        return put(std::move(envelope));
    }
    Task<std::string> commit(mail::Envelope envelope, std::string content)
    {
        auto message = co_await part->pool->begin(Deadline::after(Duration::seconds(10)));
        REQUIRE(message);
        const std::string id = (*message)->id();
        auto appended = co_await (*message)->append(content);
        REQUIRE(appended);
        auto committed = co_await (*message)->commit(std::move(envelope), smtp::ContentFacts(),
                                                     Deadline::after(Duration::seconds(10)));
        REQUIRE(committed);
        co_return id;
    }

    template <class Condition>
    bool until(Condition condition, int seconds = 8)
    {
        const Instant limit = Instant::now() + Duration::seconds(seconds);
        while (!condition() && Instant::now() < limit)
            loop.run_once(Duration::milliseconds(10));
        return condition();
    }
    void run_for(Duration time)
    {
        const Instant limit = Instant::now() + time;
        while (Instant::now() < limit)
            loop.run_once(Duration::milliseconds(10));
    }

    std::vector<queue::ListEntry> list()
    {
        std::vector<queue::ListEntry> all;
        qmgr::ListPosition position;
        while (scheduler().list_some(queue::ControlList(), position, all)) {
        }
        return all;
    }
    bool empty_in_time()
    {
        return until([this] { return list().empty(); });
    }
    bool waits_in(uint8_t queue_wanted, const std::string& reason = "")
    {
        return until([&] {
            const auto all = list();
            return all.size() == 1 && all[0].queue == queue_wanted &&
                   (reason.empty() || all[0].recipients[0].reason == reason);
        });
    }
    int tried(const std::string& recipient) { return agents->recipients[recipient]; }
    void reply(const std::string& recipient, queue::DeliveryStatus status, const std::string& dsn, const std::string& text)
    {
        agents->replies[recipient] = queue::RecipientOutcome(0, 0, status, dsn, text);
    }

    struct Part {
        qmgr::Settings settings;
        std::unique_ptr<qmgr::RouteFinder> routes;
        std::unique_ptr<qmgr::ProbeDesk> probes;
        std::unique_ptr<qmgr::WaitingIndex> index;
        std::unique_ptr<qmgr::Scheduler> scheduler;
        std::unique_ptr<queue::SlotPool> pool;
        std::unique_ptr<qmgr::NoticeWriter> notices;
        ~Part()
        {
            scheduler.reset(); // its tasks use all of the others
        }
    };

    TempDirectory folder;
    Loop loop;
    ThreadPool threads{loop, 4};
    std::unique_ptr<config::Config> config;
    std::optional<Agents> agents;
    std::optional<Part> part;
};

// While it lives, this process gets no descriptor more.
class NoDescriptors {
public:
    NoDescriptors()
    {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &earlier_) == 0);
        const rlimit none{3, earlier_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    }
    ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &earlier_); }
    NoDescriptors(const NoDescriptors&) = delete;
    NoDescriptors& operator=(const NoDescriptors&) = delete;

private:
    rlimit earlier_{};
};

inline constexpr const char* sender = "sender@home.example";

} // namespace posthouse::test
