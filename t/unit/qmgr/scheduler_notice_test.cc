// Whom qmgr tells what: bounces, delay warnings, reports; and the recipients that it settles without an agent.
#include "lib/queue/verify_cache.h"
#include "t/unit/qmgr/bench.h"

using namespace posthouse;
using namespace posthouse::qmgr;
using queue::DeliveryStatus;
using test::Bench;
using test::sender;

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

TEST_CASE("a probe (sendmail -bv) is asked of the agents, as a probe, and reported, whatever the answers are")
{
    Bench bench;
    bench.reply("c@example.com", DeliveryStatus::Failed, "5.1.1", "no such user");
    bench.reply("d@example.com", DeliveryStatus::Deferred, "4.2.0", "not now");
    mail::Envelope envelope;
    envelope.sender = sender;
    envelope.trace = mail::TraceVerify;
    for (const char* who : {"a@example.com", "b@broken.example", "c@example.com", "d@example.com"})
        envelope.recipients.emplace_back(who);
    bench.put(envelope);
    CHECK(bench.until([&] { return bench.tried(sender) == 1; }));
    CHECK(bench.empty_in_time());
    CHECK(bench.tried("a@example.com") == 1);
    CHECK(bench.agents->probes == 3);
}

namespace {

std::string verify(Bench& bench, const std::vector<std::string>& members, const std::string& asked)
{
    mail::Envelope envelope;
    envelope.trace = mail::TraceVerify | mail::TraceCache;
    for (const std::string& member : members) {
        envelope.recipients.emplace_back(member);
        envelope.recipients.back().original = asked;
    }
    return bench.put(std::move(envelope));
}

std::optional<queue::VerifiedAddress> verified(Bench& bench, const std::string& asked)
{
    auto cache = queue::VerifyCache::open(*bench.config);
    REQUIRE(cache);
    return (*cache)->find(asked, wall_clock_us() / 1000000);
}

} // namespace

TEST_CASE("the answer to a probe of smtpd goes to the cache, and is tried once whatever it is")
{
    Bench bench;
    bench.reply("no@example.com", DeliveryStatus::Failed, "5.1.1", "no such user");
    bench.reply("later@example.com", DeliveryStatus::Deferred, "4.2.0", "not now");
    for (const char* who : {"yes@example.com", "no@example.com", "later@example.com", "x@broken.example"})
        verify(bench, {who}, who);
    verify(bench, {"no@example.com", "yes@example.com"}, "team@example.net");
    CHECK(bench.empty_in_time());
    CHECK(verified(bench, "yes@EXAMPLE.com")->status == DeliveryStatus::Delivered);
    CHECK(verified(bench, "no@example.com")->text == "no such user");
    CHECK(verified(bench, "later@example.com")->status == DeliveryStatus::Deferred);
    CHECK(verified(bench, "x@broken.example")->dsn == "5.1.1");
    CHECK(verified(bench, "team@example.net")->status == DeliveryStatus::Delivered);
    CHECK_FALSE(verified(bench, "other@example.com"));
    CHECK(bench.agents->probes == 5);
}

TEST_CASE("a probe outlives the death of qmgr; one beyond the limit is dropped")
{
    Bench bench("address_verify_pending_request_limit = 2");
    bench.agents->plan["slow.example"] = test::Does::Hold;
    for (const char* who : {"a@slow.example", "b@slow.example", "c@slow.example"})
        verify(bench, {who}, who);
    CHECK(bench.list().size() == 2);
    REQUIRE(bench.until([&] { return bench.agents->probes == 2; }));
    bench.kill();
    bench.agents->held.clear();
    bench.agents->plan.clear();
    bench.start();
    CHECK(bench.empty_in_time());
    CHECK(verified(bench, "a@slow.example"));
    CHECK(verified(bench, "b@slow.example"));
    CHECK_FALSE(verified(bench, "c@slow.example"));
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

TEST_CASE("29: mail to the double-bounce address is swallowed")
{
    Bench bench;
    bench.put("", {"double-bounce@mail.example.org"});
    CHECK(bench.empty_in_time());
    CHECK(bench.agents->recipients.empty());
}

namespace {

mail::Envelope that_asks_for_success(const std::vector<std::string>& recipients)
{
    mail::Envelope envelope;
    envelope.sender = sender;
    for (const std::string& recipient : recipients) {
        envelope.recipients.emplace_back(recipient);
        envelope.recipients.back().notify = mail::NotifySuccess;
    }
    return envelope;
}

// One recipient is done, at the other's host the delivery still runs.
void put_half_done(Bench& bench)
{
    bench.agents->plan["slow.example"] = test::Does::Hold;
    bench.put(that_asks_for_success({"a@example.com", "b@slow.example"}));
    REQUIRE(bench.until([&] { return bench.tried("a@example.com") == 1 && bench.tried("b@slow.example") == 1; }));
    bench.run_for(Duration::milliseconds(100));
}

} // namespace

TEST_CASE("33: NOTIFY=SUCCESS: what was delivered before the death of qmgr is told after it, once")
{
    Bench bench;
    put_half_done(bench);
    SECTION("killed") { bench.kill(); }
    SECTION("stopped") { bench.stop(); }
    bench.agents->held.clear();
    bench.agents->plan["slow.example"] = test::Does::FailSite;
    bench.start();
    CHECK(bench.until([&] { return bench.tried(sender) == 1; })); // of the first, the other waits
    CHECK(bench.waits_in(queue::Deferred));
    bench.kill();
    bench.agents->plan.clear();
    bench.start();
    CHECK(bench.until([&] { return bench.tried(sender) == 2; })); // of the other
    CHECK(bench.empty_in_time());
    CHECK(bench.tried("a@example.com") == 1);
    CHECK(bench.tried(sender) == 2);
}

TEST_CASE("33: NOTIFY=SUCCESS: a requeued message has told of what it delivered under its first id")
{
    Bench bench("minimal_backoff_time = 100s");
    bench.agents->plan["slow.example"] = test::Does::Hold;
    const std::string id = bench.put(that_asks_for_success({"a@example.com", "b@slow.example"}));
    REQUIRE(bench.until([&] { return bench.tried("a@example.com") == 1 && bench.tried("b@slow.example") == 1; }));
    REQUIRE(bench.scheduler().act(queue::Action::Requeue, id, queue::AllQueues));
    for (auto& [channel, done] : bench.agents->held)
        done.outcomes[0].status = DeliveryStatus::Deferred;
    bench.agents->finish_held();
    CHECK(bench.until([&] { return bench.tried(sender) == 1; }));
    CHECK(bench.until([&] { return bench.tried("b@slow.example") == 2; }));
    CHECK(bench.tried("a@example.com") == 1);
}

TEST_CASE("33: NOTIFY=SUCCESS: a report that cannot be written now is written later, and mailq says what is waited for")
{
    Bench bench("minimal_backoff_time = 1s");
    bench.agents->plan["slow.example"] = test::Does::Hold;
    bench.put(that_asks_for_success({"a@slow.example"}));
    REQUIRE(bench.until([&] { return bench.tried("a@slow.example") == 1; }));
    {
        const test::NoDescriptors none;
        bench.agents->finish_held();
        CHECK(bench.waits_in(queue::Deferred, "delivered; the sender, who asked for it, is still to be told"));
    }
    CHECK(bench.until([&] { return bench.tried(sender) == 1; }));
    CHECK(bench.empty_in_time());
    CHECK(bench.tried("a@slow.example") == 1);
}
