// What an operator wants of qmgr: flush, hold, release, delete, expire, requeue.
#include "t/unit/qmgr/bench.h"

#include "qmgr/control_desk.h"
#include "qmgr/operator_rights.h"

#include <fcntl.h>
#include <sys/socket.h>

using namespace posthouse;
using namespace posthouse::qmgr;
using queue::Action;
using queue::DeliveryStatus;
using test::Bench;
using test::Does;
using test::sender;

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

TEST_CASE("requeueing that a death of qmgr interrupts leaves one of the two messages")
{
    Bench bench("minimal_backoff_time = 100s");
    for (const char* who : {"a@example.com", "b@example.com"})
        bench.reply(who, DeliveryStatus::Deferred, "4.4.1", "no connection");
    const std::string old_id = bench.put(sender, {"a@example.com"});
    const std::string new_id = bench.put(sender, {"b@example.com"});
    REQUIRE(bench.until([&] { return bench.list().size() == 2 && bench.list()[0].queue == queue::Deferred; }));
    const uint64_t number = *queue::number_of(old_id);
    SECTION("the old one, when the new one was not committed")
    {
        const std::string never = queue::make_id(*queue::time_of(new_id) + 1, *queue::number_of(new_id));
        REQUIRE(test::run_task(bench.loop, bench.part->pool->set_successor(number, never)));
        bench.kill();
        bench.start();
        CHECK(bench.list().size() == 2);
    }
    SECTION("the new one, when it was")
    {
        REQUIRE(test::run_task(bench.loop, bench.part->pool->set_successor(number, new_id)));
        bench.kill();
        bench.start();
        REQUIRE(bench.list().size() == 1);
        CHECK(bench.list()[0].id == new_id);
        bench.kill();
        bench.start();
        CHECK(bench.list().size() == 1);
    }
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
          desk(bench.loop, bench.threads, bench.scheduler(), *bench.part->routes, rights,
               bench.part->settings.queue_directory, false, patience),
          tasks(bench.loop)
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
