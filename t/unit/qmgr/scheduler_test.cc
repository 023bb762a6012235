// The whole of qmgr but its process: a real queue directory, routing, index and notices, with agents that
// are coroutines of the test.
#include "qmgr/scheduler.h"

#include "lib/base/file.h"
#include "lib/queue/intake.h"
#include "qmgr/control_desk.h"
#include "qmgr/notice_writer.h"
#include "qmgr/operator_rights.h"
#include "t/support/catch.h"
#include "t/support/run_task.h"
#include "t/support/temp_queue.h"
#include "t/unit/qmgr/fake_agents.h"

#include <algorithm>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <sys/resource.h>
#include <sys/socket.h>

using namespace posthouse;
using namespace posthouse::qmgr;
using queue::Action;
using queue::DeliveryStatus;
using queue::RecipientOutcome;
using test::Does;

namespace {

constexpr const char* main_cf = R"(
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
constexpr const char* master_cf = "smtp unix - - n - 2 smtp\nother unix - - n - 1 smtp\n";

class Bench {
public:
    explicit Bench(const std::string& settings = "")
    {
        namespace fs = std::filesystem;
        for (const char* name : {"queue", "queue/private", "queue/public", "data"})
            fs::create_directory(cat(folder.path(), '/', name));
        REQUIRE(replace_file(cat(folder.path(), "/main.cf"),
                             cat(main_cf, "queue_directory = ", folder.path(), "/queue\ndata_directory = ",
                                 folder.path(), "/data\n", settings, "\n"),
                             0644));
        REQUIRE(replace_file(cat(folder.path(), "/master.cf"), master_cf, 0644));
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
        REQUIRE(test::run_task(loop, part->pool->scan(), Duration::seconds(60))); // a sync of the file system
        part->scheduler->scan_ended();
    }
    void prepare()
    {
        auto read = Settings::from_config(*config);
        REQUIRE(read);
        part.emplace();
        part->settings = std::move(*read);
        const table::Context context(loop, threads, *config);
        part->routes = *RouteFinder::open(loop, *config, context);
        part->index = *WaitingIndex::open(loop, part->settings.data_directory);
        part->scheduler = std::make_unique<Scheduler>(loop, part->settings, *part->routes, *part->index);
        part->pool = *queue::SlotPool::open(loop, threads, part->settings.queue_directory, part->settings.pool,
                                            *part->scheduler);
        part->notices = std::make_unique<NoticeWriter>(threads, *part->pool, part->settings);
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

    Scheduler& scheduler() { return *part->scheduler; }

    std::string put(mail::Envelope envelope, std::string content = "Subject: test\r\n\r\nHello.\r\n")
    {
        return test::run_task(loop, commit(std::move(envelope), std::move(content)));
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
        auto committed =
            co_await (*message)->commit(std::move(envelope), smtp::ContentFacts(), Deadline::after(Duration::seconds(10)));
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
        ListPosition position;
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
    void reply(const std::string& recipient, DeliveryStatus status, const std::string& dsn, const std::string& text)
    {
        agents->replies[recipient] = RecipientOutcome(0, 0, status, dsn, text);
    }

    struct Part {
        Settings settings;
        std::unique_ptr<RouteFinder> routes;
        std::unique_ptr<WaitingIndex> index;
        std::unique_ptr<Scheduler> scheduler;
        std::unique_ptr<queue::SlotPool> pool;
        std::unique_ptr<NoticeWriter> notices;
        ~Part()
        {
            scheduler.reset(); // its tasks use all of the others
        }
    };

    test::TempDirectory folder;
    Loop loop;
    ThreadPool threads{loop, 4};
    std::unique_ptr<config::Config> config;
    std::optional<test::Agents> agents;
    std::optional<Part> part;
};

constexpr const char* sender = "sender@home.example";

// While it lives, no file of this process grows beyond its first page, as on a full disk: LMDB cannot commit.
class FullDisk {
public:
    FullDisk() : earlier_action_(std::signal(SIGXFSZ, SIG_IGN))
    {
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &earlier_) == 0);
        const rlimit page{4096, earlier_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &page) == 0);
    }
    ~FullDisk()
    {
        ::setrlimit(RLIMIT_FSIZE, &earlier_);
        std::signal(SIGXFSZ, earlier_action_);
    }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;

private:
    rlimit earlier_{};
    void (*earlier_action_)(int);
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

} // namespace

TEST_CASE("a message that is delivered leaves the queue")
{
    Bench bench;
    bench.put(sender, {"friend@example.com"});
    CHECK(bench.empty_in_time());
    CHECK(bench.tried("friend@example.com") == 1);
}

TEST_CASE("30: of delivered, deferred and failed recipients only the deferred one is tried again")
{
    Bench bench;
    bench.reply("later@example.com", DeliveryStatus::Deferred, "4.2.0", "try later");
    bench.reply("never@example.com", DeliveryStatus::Failed, "5.1.1", "no such user");
    bench.put(sender, {"now@example.com", "later@example.com", "never@example.com"});
    REQUIRE(bench.until([&] { return bench.tried(sender) == 1; })); // the bounce
    bench.agents->replies.erase("later@example.com");
    CHECK(bench.empty_in_time());
    CHECK(bench.tried("now@example.com") == 1);
    CHECK(bench.tried("never@example.com") == 1);
    CHECK(bench.tried("later@example.com") == 2);
    CHECK(bench.tried(sender) == 1);
}

TEST_CASE("30: marks survive the death of qmgr: what was delivered is not delivered again")
{
    Bench bench;
    bench.reply("later@example.com", DeliveryStatus::Deferred, "4.2.0", "try later");
    bench.put(sender, {"now@example.com", "later@example.com"});
    REQUIRE(bench.waits_in(queue::Deferred));
    bench.kill();
    bench.agents->replies.clear();
    bench.start();
    CHECK(bench.empty_in_time());
    CHECK(bench.tried("now@example.com") == 1);
}

TEST_CASE("a reason to wait is shown, and still known after a restart")
{
    Bench bench("minimal_backoff_time = 100s");
    bench.reply("a@example.com", DeliveryStatus::Deferred, "4.4.1", "connect to example.com: Connection refused");
    bench.put(sender, {"a@example.com"});
    CHECK(bench.waits_in(queue::Deferred, "connect to example.com: Connection refused"));
    SECTION("in order") { bench.stop(); }
    SECTION("killed") { bench.kill(); }
    bench.start();
    CHECK(bench.waits_in(queue::Deferred, "connect to example.com: Connection refused"));
    bench.run_for(Duration::milliseconds(100));
    CHECK(bench.tried("a@example.com") == 1);
}

TEST_CASE("qmgr may end at any moment: what it was about to try is tried after the next start")
{
    Bench bench;
    bench.reply("a@example.com", DeliveryStatus::Deferred, "4.2.0", "try later");
    bench.put(sender, {"a@example.com"});
    REQUIRE(bench.waits_in(queue::Deferred));
    bench.agents->replies.clear();
    SECTION("being read from its file")
    {
        uint64_t after = 0;
        uint64_t count = 0;
        bench.scheduler().flush_some("", after, count);
        bench.loop.run_once(Duration());
        bench.stop();
    }
    SECTION("before the scan has ended")
    {
        bench.kill();
        bench.prepare();
        bench.stop();
    }
    bench.start();
    CHECK(bench.empty_in_time());
}

TEST_CASE("without its index qmgr finds every message in the files")
{
    Bench bench("minimal_backoff_time = 100s");
    bench.reply("a@example.com", DeliveryStatus::Deferred, "4.4.1", "connect to example.com: Connection refused");
    const std::string id = bench.put(sender, {"a@example.com"});
    REQUIRE(bench.waits_in(queue::Deferred));
    bench.stop();
    REQUIRE(::unlink(cat(bench.folder.path(), "/data/waiting.lmdb").c_str()) == 0);
    bench.start();
    REQUIRE(bench.waits_in(queue::Deferred));
    CHECK(bench.list()[0].id == id);
    CHECK(bench.list()[0].recipients[0].address == "a@example.com");
    CHECK(bench.tried("a@example.com") == 1);
}

TEST_CASE("29: a bounce that cannot be delivered makes no bounce and leaves the queue")
{
    Bench bench;
    bench.reply("a@example.com", DeliveryStatus::Failed, "5.1.1", "no such user");
    bench.reply(sender, DeliveryStatus::Failed, "5.1.1", "no such user");
    bench.put(sender, {"a@example.com"});
    REQUIRE(bench.until([&] { return bench.tried(sender) == 1; }));
    CHECK(bench.empty_in_time());
    bench.run_for(Duration::milliseconds(100));
    CHECK(bench.tried(sender) == 1);
    CHECK(bench.agents->recipients.size() == 2);
}

TEST_CASE("29: with notify_classes 2bounce the postmaster hears of it, and that notice never bounces")
{
    Bench bench("notify_classes = 2bounce\n2bounce_notice_recipient = chief@home.example");
    for (const char* who : {"a@example.com", sender, "chief@home.example"})
        bench.reply(who, DeliveryStatus::Failed, "5.1.1", "no such user");
    bench.put(sender, {"a@example.com"});
    REQUIRE(bench.until([&] { return bench.tried("chief@home.example") == 1; }));
    CHECK(bench.empty_in_time());
    bench.run_for(Duration::milliseconds(100));
    CHECK(bench.tried("chief@home.example") == 1);
    CHECK(bench.agents->recipients.size() == 3);
}

TEST_CASE("34: mail that is too old goes back after an attempt; a lifetime of 0 is one attempt")
{
    Bench bench("maximal_queue_lifetime = 0");
    bench.reply("a@example.com", DeliveryStatus::Deferred, "4.4.1", "no connection");
    bench.put(sender, {"a@example.com"});
    CHECK(bench.until([&] { return bench.tried(sender) == 1; }));
    CHECK(bench.empty_in_time());
    CHECK(bench.tried("a@example.com") == 1);
}

TEST_CASE("34: one delay warning for a message, however often it is tried")
{
    Bench bench("delay_warning_time = 1s\nminimal_backoff_time = 1s");
    bench.reply("a@example.com", DeliveryStatus::Deferred, "4.4.1", "no connection");
    bench.put(sender, {"a@example.com"});
    CHECK(bench.until([&] { return bench.tried(sender) == 1; }));
    CHECK(bench.until([&] { return bench.tried("a@example.com") >= 4; }, 12));
    CHECK(bench.tried(sender) == 1);
}

TEST_CASE("33: NOTIFY=NEVER makes no bounce, NOTIFY=SUCCESS a report")
{
    Bench bench;
    mail::Envelope envelope;
    envelope.sender = sender;
    envelope.recipients.emplace_back("a@example.com");
    SECTION("never")
    {
        bench.reply("a@example.com", DeliveryStatus::Failed, "5.1.1", "no such user");
        envelope.recipients[0].notify = mail::NotifyNever;
        bench.put(envelope);
        REQUIRE(bench.until([&] { return bench.tried("a@example.com") == 1; }));
        CHECK(bench.empty_in_time());
        CHECK(bench.tried(sender) == 0);
    }
    SECTION("success")
    {
        envelope.recipients[0].notify = mail::NotifySuccess;
        bench.put(envelope);
        CHECK(bench.until([&] { return bench.tried(sender) == 1; }));
        CHECK(bench.empty_in_time());
    }
}

TEST_CASE("a probe (sendmail -bv) is reported and delivers nothing")
{
    Bench bench;
    mail::Envelope envelope;
    envelope.sender = sender;
    envelope.trace = mail::TraceVerify;
    for (const char* who : {"a@example.com", "b@broken.example"})
        envelope.recipients.emplace_back(who);
    bench.put(envelope);
    CHECK(bench.until([&] { return bench.tried(sender) == 1; }));
    CHECK(bench.empty_in_time());
    CHECK(bench.tried("a@example.com") == 0);
}

TEST_CASE("sendmail -v gets a report of what was delivered")
{
    Bench bench;
    mail::Envelope envelope;
    envelope.sender = sender;
    envelope.trace = mail::TraceDelivery;
    envelope.recipients.emplace_back("a@example.com");
    bench.put(envelope);
    CHECK(bench.until([&] { return bench.tried(sender) == 1; }));
    CHECK(bench.tried("a@example.com") == 1);
    CHECK(bench.empty_in_time());
}

TEST_CASE("error:, retry: and discard: need no agent")
{
    Bench bench("minimal_backoff_time = 100s");
    SECTION("error")
    {
        bench.put(sender, {"a@broken.example"});
        CHECK(bench.until([&] { return bench.tried(sender) == 1; }));
    }
    SECTION("retry")
    {
        bench.put(sender, {"a@later.example"});
        CHECK(bench.waits_in(queue::Deferred, "not now"));
        return;
    }
    SECTION("discard") { bench.put(sender, {"a@nowhere.example"}); }
    CHECK(bench.empty_in_time());
    CHECK(bench.tried("a@broken.example") + bench.tried("a@nowhere.example") == 0);
}

TEST_CASE("soft_bounce keeps what would bounce")
{
    Bench bench("soft_bounce = yes\nminimal_backoff_time = 100s");
    bench.reply("a@example.com", DeliveryStatus::Failed, "5.1.1", "no such user");
    bench.put(sender, {"a@example.com"});
    CHECK(bench.waits_in(queue::Deferred, "no such user"));
    CHECK(bench.tried(sender) == 0);
}

TEST_CASE("defer_transports waits for a flush")
{
    Bench bench("defer_transports = smtp\nminimal_backoff_time = 100s");
    bench.put(sender, {"a@example.com"});
    REQUIRE(bench.waits_in(queue::Deferred, "deferred transport"));
    uint64_t after = 0;
    uint64_t count = 0;
    while (bench.scheduler().flush_some("", after, count)) {
    }
    CHECK(count == 1);
    CHECK(bench.empty_in_time());
    CHECK(bench.tried("a@example.com") == 1);
}

TEST_CASE("a flush for a site leaves mail for other sites")
{
    Bench bench("minimal_backoff_time = 100s");
    for (const char* who : {"a@one.example", "b@two.example"}) {
        bench.reply(who, DeliveryStatus::Deferred, "4.4.1", "no connection");
        bench.put(sender, {who});
    }
    REQUIRE(bench.until([&] { return bench.list().size() == 2 && bench.list()[1].queue == queue::Deferred &&
                                     bench.list()[0].queue == queue::Deferred; }));
    bench.agents->replies.clear();
    uint64_t after = 0;
    uint64_t count = 0;
    while (bench.scheduler().flush_some("ONE.example", after, count)) {
    }
    CHECK(count == 1);
    CHECK(bench.until([&] { return bench.tried("a@one.example") == 2; }));
    CHECK(bench.waits_in(queue::Deferred));
    CHECK(bench.tried("b@two.example") == 1);
}

TEST_CASE("held mail stays, across a restart too, until it is released")
{
    Bench bench("minimal_backoff_time = 100s");
    bench.reply("a@example.com", DeliveryStatus::Deferred, "4.4.1", "no connection");
    const std::string id = bench.put(sender, {"a@example.com"});
    REQUIRE(bench.waits_in(queue::Deferred));
    CHECK(bench.scheduler().act(Action::Hold, id, queue::AllQueues));
    CHECK_FALSE(bench.scheduler().act(Action::Hold, id, queue::AllQueues));
    CHECK(bench.waits_in(queue::Hold));
    bench.stop();
    bench.start();
    CHECK(bench.waits_in(queue::Hold));
    bench.agents->replies.clear();
    CHECK(bench.scheduler().act(Action::Release, id, queue::AllQueues));
    CHECK(bench.empty_in_time());
    CHECK(bench.tried("a@example.com") == 2);
}

TEST_CASE("mail that smtpd put on hold is not tried")
{
    Bench bench;
    mail::Envelope envelope;
    envelope.sender = sender;
    envelope.hold = true;
    envelope.recipients.emplace_back("a@example.com");
    const std::string id = bench.put(envelope);
    CHECK(bench.waits_in(queue::Hold));
    CHECK(bench.tried("a@example.com") == 0);
    CHECK(bench.scheduler().act(Action::Release, id, queue::AllQueues));
    CHECK(bench.empty_in_time());
}

TEST_CASE("a message that is being delivered is held when its deliveries are over")
{
    Bench bench;
    bench.agents->plan["example.com"] = Does::Hold;
    const std::string id = bench.put(sender, {"a@example.com"});
    REQUIRE(bench.until([&] { return bench.tried("a@example.com") == 1; }));
    CHECK(bench.waits_in(queue::Active));
    CHECK(bench.scheduler().act(Action::Hold, id, queue::AllQueues));
    bench.agents.emplace(bench.loop, cat(bench.folder.path(), "/queue/private/smtp"));
    CHECK(bench.waits_in(queue::Hold));
}

TEST_CASE("an order about a message that is being delivered outlives qmgr")
{
    Bench bench;
    bench.agents->plan["slow.example"] = Does::Hold;
    const std::string id = bench.put(sender, {"a@slow.example", "b@slow.example"});
    REQUIRE(bench.until([&] { return bench.tried("a@slow.example") == 1; }));
    const bool hold = GENERATE(true, false);
    CHECK(bench.scheduler().act(hold ? Action::Hold : Action::Delete, id, queue::AllQueues));
    bench.kill();
    bench.agents->plan.clear();
    bench.start();
    if (hold)
        CHECK(bench.waits_in(queue::Hold));
    else
        CHECK(bench.empty_in_time());
    bench.run_for(Duration::milliseconds(100));
    CHECK(bench.tried("a@slow.example") == 1);
}

TEST_CASE("a message whose last recipient gets it is not requeued")
{
    Bench bench("minimal_backoff_time = 100s");
    bench.agents->plan["slow.example"] = Does::Hold;
    const std::string id = bench.put(sender, {"a@slow.example"});
    REQUIRE(bench.until([&] { return bench.tried("a@slow.example") == 1; }));
    CHECK(bench.scheduler().act(Action::Requeue, id, queue::AllQueues));
    bench.agents->finish_held();
    CHECK(bench.empty_in_time());
    CHECK(bench.scheduler().status()[10] == "messages_accepted=1");
}

TEST_CASE("deleted mail is gone")
{
    Bench bench("minimal_backoff_time = 100s");
    bench.reply("a@example.com", DeliveryStatus::Deferred, "4.4.1", "no connection");
    const std::string id = bench.put(sender, {"a@example.com"});
    REQUIRE(bench.waits_in(queue::Deferred));
    CHECK_FALSE(bench.scheduler().act(Action::Delete, id, queue::Hold));
    CHECK_FALSE(bench.scheduler().act(Action::Delete, id + "x", queue::AllQueues));
    CHECK(bench.scheduler().act(Action::Delete, id, queue::AllQueues));
    CHECK(bench.empty_in_time());
    bench.kill();
    bench.start();
    CHECK(bench.list().empty());
    CHECK(bench.tried(sender) == 0);
}

TEST_CASE("expired mail goes back after one more attempt")
{
    Bench bench("minimal_backoff_time = 100s");
    bench.reply("a@example.com", DeliveryStatus::Deferred, "4.4.1", "no connection");
    const std::string id = bench.put(sender, {"a@example.com"});
    REQUIRE(bench.waits_in(queue::Deferred));
    CHECK(bench.scheduler().act(Action::Expire, id, queue::AllQueues));
    CHECK(bench.until([&] { return bench.tried(sender) == 1; }));
    CHECK(bench.empty_in_time());
    CHECK(bench.tried("a@example.com") == 2);
}

TEST_CASE("requeued mail gets a new id and is delivered under it")
{
    Bench bench("minimal_backoff_time = 100s");
    bench.reply("a@example.com", DeliveryStatus::Deferred, "4.4.1", "no connection");
    const std::string id = bench.put(sender, {"a@example.com", "b@example.com"});
    REQUIRE(bench.waits_in(queue::Deferred));
    CHECK(bench.scheduler().act(Action::Requeue, id, queue::AllQueues));
    CHECK(bench.until([&] { return bench.list().size() == 1 && bench.list()[0].id != id; }));
    CHECK(bench.waits_in(queue::Deferred));
    CHECK(bench.tried("a@example.com") == 2);
    CHECK(bench.tried("b@example.com") == 1);
}

TEST_CASE("what does not fit into the active set waits and is delivered later")
{
    Bench bench("qmgr_message_active_limit = 2");
    bench.agents->plan["slow.example"] = Does::Hold;
    for (int i = 0; i < 2; ++i)
        bench.put(sender, {cat("s", i, "@slow.example")});
    for (int i = 0; i < 5; ++i)
        bench.put(sender, {cat("f", i, "@fast.example")});
    bench.run_for(Duration::milliseconds(50));
    CHECK(bench.list().size() == 7);
    bench.agents->plan["slow.example"] = Does::Deliver;
    bench.agents.emplace(bench.loop, cat(bench.folder.path(), "/queue/private/smtp"));
    CHECK(bench.empty_in_time());
}

TEST_CASE("38: a damaged message is set aside, and the others go on")
{
    Bench bench;
    bench.reply("a@example.com", DeliveryStatus::Deferred, "4.4.1", "no connection");
    const std::string id = bench.put(sender, {"a@example.com"});
    REQUIRE(bench.waits_in(queue::Deferred));
    bench.kill();
    const std::string path = cat(bench.folder.path(), "/queue/", queue::slot_path(*queue::number_of(id)));
    auto file = open_at(AT_FDCWD, path, O_WRONLY);
    REQUIRE(file);
    REQUIRE(pwrite_all(file->get(), "XXXX", queue::header_size + 3));
    bench.start();
    bench.agents->replies.clear();
    bench.put(sender, {"b@example.com"});
    CHECK(bench.until([&] { return bench.tried("b@example.com") == 1; }));
    CHECK(bench.empty_in_time());
    CHECK(bench.tried("a@example.com") == 1);
    CHECK_FALSE(std::filesystem::is_empty(cat(bench.folder.path(), "/queue/corrupt")));
}

TEST_CASE("a transport without agents defers its mail and not that of others")
{
    Bench bench("minimal_backoff_time = 100s");
    bench.put(sender, {"a@other.example"});
    bench.put(sender, {"b@example.com"});
    CHECK(bench.until([&] { return bench.tried("b@example.com") == 1; }));
    CHECK(bench.waits_in(queue::Deferred, "mail transport unavailable"));
}

TEST_CASE("speed: messages straight through", "[.][speed]")
{
    Bench bench;
    bench.part->settings.active_limit = 20000;
    const int count = 20000;
    const std::string content(4096, 'x');
    TaskGroup group(bench.loop);
    const Instant begin = Instant::now();
    int started = 0;
    while (started < count) {
        for (int i = 0; i < 50; ++i, ++started)
            group.spawn([](Bench& its, std::string text) -> Task<void> {
                mail::Envelope envelope;
                envelope.sender = sender;
                envelope.recipients.emplace_back("a@example.com");
                (void)co_await its.commit(std::move(envelope), std::move(text));
            }(bench, content));
        bench.until([&] { return group.size() == 0; });
    }
    CHECK(bench.empty_in_time());
    const double each = (Instant::now() - begin).as_seconds() / count * 1000;
    WARN("milliseconds for each message, intake, agent and sync included: " << each);
}

TEST_CASE("a message to very many recipients leaves the others their turn of the loop")
{
    constexpr size_t count = 20000;
    Bench bench("other_destination_recipient_limit = 1\nminimal_backoff_time = 100s\ntransport_retry_time = 100s");
    mail::Envelope envelope;
    envelope.sender = sender;
    SECTION("that are delivered")
    {
        for (size_t i = 0; i < count; ++i)
            envelope.recipients.emplace_back(cat("r", i, "@d", i % 50, ".example"));
    }
    SECTION("that a transport gives back, each a delivery of its own")
    {
        for (size_t i = 0; i < count; ++i)
            envelope.recipients.emplace_back(cat("r", i, "@other.example"));
    }
    const std::string id = bench.put(std::move(envelope));
    // Processor time: what others on the machine do is not the scheduler's doing.
    const auto used = [] {
        timespec now{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        return Duration::seconds(now.tv_sec) + Duration::nanoseconds(now.tv_nsec);
    };
    const Instant limit = Instant::now() + Duration::seconds(60);
    const Duration begin = used();
    Duration longest;
    bool over = false;
    while (!over && Instant::now() < limit) {
        const Duration turn = used();
        bench.loop.run_once(Duration());
        longest = std::max(longest, used() - turn);
        over = bench.agents->recipients.size() == count || bench.scheduler().status()[0] == "active_messages=0";
    }
    const Duration whole = used() - begin;
    INFO("longest turn " << longest.as_seconds() << " s of " << whole.as_seconds());
    CHECK(over);
    CHECK(longest * 3 < whole); // in one piece it would be nearly all
}

TEST_CASE("a delivery's request fits into a frame however long the addresses are")
{
    constexpr size_t count = 400;
    Bench bench("default_destination_recipient_limit = 0");
    mail::Envelope envelope;
    envelope.sender = sender;
    for (size_t i = 0; i < count; ++i) {
        envelope.recipients.emplace_back(cat(std::string(40000, 'x'), i, "@example.com"));
        envelope.recipients.back().original = envelope.recipients.back().address;
    }
    bench.put(std::move(envelope));
    CHECK(bench.until([&] { return bench.agents->recipients.size() == count; }, 20));
    CHECK(bench.agents->seen.size() > 10);
    CHECK(bench.empty_in_time());
}

TEST_CASE("the listing of a message with very many recipients comes in pieces that fit into frames")
{
    constexpr size_t count = 30000;
    Bench bench("minimal_backoff_time = 100s");
    mail::Envelope envelope;
    envelope.sender = sender;
    for (size_t i = 0; i < count; ++i)
        envelope.recipients.emplace_back(cat(std::string(200, 'x'), i, "@later.example"));
    SECTION("while it is active") { envelope.recipients[0].address = "a@example.com"; }
    SECTION("while it waits") {}
    bench.agents->plan["example.com"] = Does::Hold;
    const std::string id = bench.put(std::move(envelope));
    REQUIRE(bench.until([&] { return !bench.list().empty(); }, 30));
    const std::vector<queue::ListEntry> pieces = bench.list();
    size_t listed = 0;
    for (size_t i = 0; i < pieces.size(); ++i) {
        CHECK(pieces[i].id == id);
        CHECK(pieces[i].continues == (i > 0));
        CHECK(pieces[i].more == (i + 1 < pieces.size()));
        CHECK(pieces[i].to_frame().body.size() < 2 * queue::list_piece_bytes);
        listed += pieces[i].recipients.size();
    }
    CHECK(pieces.size() > 10);
    CHECK(listed == count);
}

TEST_CASE("35: new mail gets through while mail that waited fills its part of the active set")
{
    Bench bench("qmgr_message_active_limit = 10\nminimal_backoff_time = 1s\nmaximal_backoff_time = 1s\n"
                "initial_destination_concurrency = 20");
    for (int i = 0; i < 20; ++i) {
        const std::string who = cat("r", i, "@slow.example");
        bench.reply(who, DeliveryStatus::Deferred, "4.2.0", "try later");
        bench.put(sender, {who});
    }
    REQUIRE(bench.until([&] { return bench.list().size() == 20 && bench.tried("r19@slow.example") > 0; }));
    bench.agents->plan["slow.example"] = Does::Hold; // from now on each stays active
    REQUIRE(bench.until([&] { return bench.scheduler().status()[0] == "active_messages=8"; }));
    bench.run_for(Duration::milliseconds(1500));
    CHECK(bench.scheduler().status()[0] == "active_messages=8");
    bench.put(sender, {"friend@fast.example"});
    CHECK(bench.until([&] { return bench.tried("friend@fast.example") == 1; }));
}

TEST_CASE("29: mail to the double-bounce address is swallowed")
{
    Bench bench;
    bench.put("", {"double-bounce@mail.example.org"});
    CHECK(bench.empty_in_time());
    CHECK(bench.agents->recipients.empty());
}

TEST_CASE("a message with more recipients than the active set may have leaves room for others")
{
    Bench bench("qmgr_message_recipient_limit = 100");
    bench.agents->plan["slow.example"] = Does::Hold;
    std::vector<std::string> many;
    for (int i = 0; i < 500; ++i)
        many.push_back(cat("r", i, "@slow.example"));
    bench.put(sender, many);
    REQUIRE(bench.until([&] { return bench.tried("r0@slow.example") == 1; }));
    bench.put(sender, {"friend@fast.example"});
    CHECK(bench.until([&] { return bench.tried("friend@fast.example") == 1; }));
}

TEST_CASE("a message is tried once at a time, also when the index cannot note that it is being tried")
{
    Bench bench("maximal_backoff_time = 1s");
    bench.reply("a@slow.example", DeliveryStatus::Deferred, "4.2.0", "try later");
    bench.put(sender, {"a@slow.example"});
    REQUIRE(bench.waits_in(queue::Deferred));
    bench.agents->plan["slow.example"] = Does::Hold;
    {
        const FullDisk full;
        REQUIRE(bench.until([&] { return bench.tried("a@slow.example") == 2; }));
    }
    // Each of these makes the index say what is due.
    bench.reply("b@fast.example", DeliveryStatus::Deferred, "4.2.0", "try later");
    bench.put(sender, {"b@fast.example"});
    REQUIRE(bench.until([&] { return bench.tried("b@fast.example") == 3; }));
    CHECK(bench.tried("a@slow.example") == 2);
    bench.agents->replies.clear();
    bench.agents->plan.clear();
    bench.agents.emplace(bench.loop, cat(bench.folder.path(), "/queue/private/smtp")); // the delivery is lost
    CHECK(bench.empty_in_time());
}

TEST_CASE("a message that the index could not note is tried again, also when its file cannot be read the first time")
{
    Bench bench("maximal_backoff_time = 1s");
    bench.reply("a@example.com", DeliveryStatus::Deferred, "4.2.0", "try later");
    bench.put(sender, {"b@example.com"}); // makes slots
    REQUIRE(bench.empty_in_time());
    {
        const FullDisk full;
        bench.put(sender, {"a@example.com"});
        REQUIRE(bench.until([&] { return bench.tried("a@example.com") == 1; }));
        bench.run_for(Duration::milliseconds(200));
    }
    REQUIRE(bench.list().empty()); // the index has no record
    {
        const NoDescriptors none;
        bench.run_for(Duration::milliseconds(1500));
    }
    CHECK(bench.tried("a@example.com") == 1);
    CHECK(bench.until([&] { return bench.tried("a@example.com") == 2; }));
}

namespace {

size_t active_messages(const Scheduler& scheduler)
{
    return std::stoul(scheduler.status()[0].substr(std::string("active_messages=").size()));
}

// A client of public/qmgr.
class Operator {
public:
    Operator(Bench& its_bench, Duration patience)
        : bench(its_bench),
          desk(bench.loop, bench.scheduler(), *bench.part->routes, rights, false, patience), tasks(bench.loop)
    {
        int fds[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        channel.emplace(bench.loop, UniqueFd(fds[0]));
        tasks.spawn(desk.serve(std::make_unique<ipc::Channel>(bench.loop, UniqueFd(fds[1]))));
    }
    void order(Action action, const std::string& id)
    {
        queue::ControlAct act;
        act.action = action;
        act.ids.push_back(id);
        REQUIRE(channel->post(act.to_frame()));
        tasks.spawn(hear());
    }
    void order_all(Action action)
    {
        queue::ControlAct act;
        act.action = action;
        act.all = true;
        REQUIRE(channel->post(act.to_frame()));
        tasks.spawn(hear());
    }
    Task<void> hear()
    {
        auto frame = co_await channel->receive(Deadline::after(Duration::seconds(10)));
        REQUIRE(frame);
        auto end = queue::ControlEnd::from_frame(*frame);
        REQUIRE(end);
        answer = std::move(*end);
    }

    Bench& bench;
    OperatorRights rights;
    ControlDesk desk;
    std::optional<ipc::Channel> channel;
    std::optional<queue::ControlEnd> answer;
    TaskGroup tasks;
};

} // namespace

TEST_CASE("what an operator orders while qmgr still reads the queue is done afterwards, or refused")
{
    Bench bench("minimal_backoff_time = 100s");
    bench.reply("a@example.com", DeliveryStatus::Deferred, "4.4.1", "no connection");
    const std::string id = bench.put(sender, {"a@example.com"});
    REQUIRE(bench.waits_in(queue::Deferred));
    bench.kill();
    bench.prepare();
    SECTION("done")
    {
        Operator person(bench, Duration::seconds(60));
        person.order(Action::Hold, id);
        bench.run_for(Duration::milliseconds(100));
        CHECK_FALSE(person.answer);
        REQUIRE(test::run_task(bench.loop, bench.part->pool->scan(), Duration::seconds(60)));
        bench.part->scheduler->scan_ended();
        REQUIRE(bench.until([&] { return person.answer.has_value(); }));
        CHECK(person.answer->ok);
        CHECK(person.answer->count == 1);
        CHECK(bench.waits_in(queue::Hold));
    }
    SECTION("refused, with nothing changed")
    {
        Operator person(bench, Duration::milliseconds(100));
        person.order(Action::Delete, id);
        REQUIRE(bench.until([&] { return person.answer.has_value(); }));
        CHECK_FALSE(person.answer->ok);
        CHECK(person.answer->text.find("still reading the queue") != std::string::npos);
        REQUIRE(test::run_task(bench.loop, bench.part->pool->scan(), Duration::seconds(60)));
        bench.part->scheduler->scan_ended();
        CHECK(bench.waits_in(queue::Deferred));
    }
}

TEST_CASE("requeueing the whole queue respects the limit of the active set, and takes each message once")
{
    Bench bench("minimal_backoff_time = 100s\nqmgr_message_active_limit = 5");
    constexpr int count = 30;
    for (int i = 0; i < count; ++i) {
        const std::string who = cat("r", i, "@slow.example");
        bench.reply(who, DeliveryStatus::Deferred, "4.2.0", "try later");
        bench.put(sender, {who});
    }
    const auto all_wait = [&] {
        const auto all = bench.list();
        return all.size() == count && std::all_of(all.begin(), all.end(), [](const auto& one) {
                   return one.queue == queue::Deferred && one.recipients[0].reason == "try later";
               });
    };
    REQUIRE(bench.until(all_wait));
    Operator person(bench, Duration::seconds(60));
    person.order_all(Action::Requeue);
    size_t most = 0;
    REQUIRE(bench.until([&] {
        most = std::max(most, active_messages(bench.scheduler()));
        bool again = true;
        for (int i = 0; i < count; ++i)
            again = again && bench.tried(cat("r", i, "@slow.example")) >= 2;
        return person.answer.has_value() && again && all_wait();
    }, 20));
    CHECK(person.answer->count == count);
    CHECK(most <= 5);
    for (int i = 0; i < count; ++i)
        CHECK(bench.tried(cat("r", i, "@slow.example")) == 2);
}
