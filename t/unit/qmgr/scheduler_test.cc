// A message's way through qmgr: tried, put off, tried again, across deaths and shortages of every kind.
#include "t/unit/qmgr/bench.h"

#include <algorithm>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <sys/resource.h>

using namespace posthouse;
using namespace posthouse::qmgr;
using queue::DeliveryStatus;
using test::Bench;
using test::Does;
using test::NoDescriptors;
using test::sender;

namespace {

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
