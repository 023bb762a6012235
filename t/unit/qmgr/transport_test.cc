// A Transport against agents that are coroutines of the test behind a real UNIX socket.
#include "qmgr/transport.h"

#include "qmgr/message.h"
#include "t/support/catch.h"
#include "t/unit/qmgr/fake_agents.h"

#include <algorithm>
#include <fcntl.h>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::qmgr;
using queue::DeliveryStatus;
using queue::RecipientOutcome;
using test::Agents;
using test::Does;

namespace {

class Owner final : public DeliveryOwner {
public:
    explicit Owner(Loop& loop)
    {
        queue::StoredMessage stored;
        stored.envelope.id = "TEST";
        stored.envelope.recipients.resize(100);
        stored.states.assign(100, queue::RecipientState::Pending);
        message = std::make_unique<Message>(loop, std::move(stored));
    }
    Result<queue::DeliveryRequest> request_for(const Delivery& delivery) override
    {
        queue::DeliveryRequest request;
        request.envelope = delivery.message.envelope;
        request.envelope.recipients.resize(delivery.recipients.size(), mail::Recipient("a@example.com"));
        request.indexes = delivery.recipients;
        request.file.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        return request;
    }
    void recipient_answered(Delivery&, RecipientOutcome outcome) override
    {
        delivered += outcome.status == DeliveryStatus::Delivered;
    }
    void delivery_over(std::unique_ptr<Delivery> delivery, const std::string&, const std::string& text) override
    {
        ++over;
        if (!delivery->recipients.empty())
            reasons.push_back(text);
    }

    std::unique_ptr<Message> message;
    uint64_t turn = 0;
    int delivered = 0;
    int over = 0;
    std::vector<std::string> reasons;
};

class Bench {
public:
    Bench() : path("/tmp/posthouse-transport-" + std::to_string(::getpid())), agents(loop, path), owner(loop)
    {
        settings.name = "smtp";
        settings.socket_path = path;
        settings.process_limit = 1;
        settings.retry_time = Duration::seconds(60);
    }

    void make()
    {
        transport.reset();
        DeliveryOwner& its_owner = owner;
        transport = std::make_unique<Transport>(loop, settings, its_owner);
    }

    void add(const std::string& nexthop)
    {
        if (!transport)
            make();
        ++added;
        transport->add(std::make_unique<Delivery>(*owner.message, transport->destination(nexthop, "a@example.com", Traffic::Mail),
                                                  std::vector<uint32_t>{static_cast<uint32_t>(added % 100)}),
                       owner.turn);
    }

    // Until the condition holds, or a few seconds have passed.
    template <class Condition>
    bool until(Condition condition)
    {
        const Instant limit = Instant::now() + Duration::seconds(8);
        while (!condition() && Instant::now() < limit)
            loop.run_once(Duration::milliseconds(10));
        return condition();
    }
    bool all_over()
    {
        return until([this] { return owner.over == added; });
    }

    Loop loop;
    std::string path;
    TransportSettings settings;
    Agents agents;
    Owner owner;
    int added = 0;
    std::unique_ptr<Transport> transport;
};

} // namespace

TEST_CASE("many deliveries are outstanding on one connection to an agent")
{
    Bench bench;
    bench.settings.concurrency.initial = 50;
    bench.settings.concurrency.most = 0;
    bench.agents.plan["x"] = Does::Hold;
    for (int i = 0; i < 30; ++i)
        bench.add("x");
    CHECK(bench.until([&] { return bench.agents.seen.size() == 30; }));
    CHECK(bench.agents.connections == 1);
    CHECK(bench.transport->running() == 30);
}

TEST_CASE("results come back for each recipient")
{
    Bench bench;
    for (int i = 0; i < 40; ++i)
        bench.add("x" + std::to_string(i % 3));
    CHECK(bench.all_over());
    CHECK(bench.owner.delivered == 40);
    CHECK(bench.owner.reasons.empty());
}

TEST_CASE("no more deliveries than the window allows are under way to one destination")
{
    Bench bench;
    bench.agents.plan["x"] = Does::Hold;
    for (int i = 0; i < 20; ++i)
        bench.add("x");
    bench.add("y");
    CHECK(bench.until([&] { return bench.owner.delivered == 1; }));
    CHECK(bench.agents.seen.size() == 6);
}

TEST_CASE("an agent is given no more than it takes")
{
    Bench bench;
    bench.agents.capacity = 3;
    for (int i = 0; i < 10; ++i) {
        bench.agents.plan["x" + std::to_string(i)] = Does::Hold;
        bench.add("x" + std::to_string(i));
    }
    bench.until([&] { return bench.agents.seen.size() >= 3; });
    bench.loop.run_once(Duration::milliseconds(50));
    CHECK(bench.transport->running() == 3);
}

TEST_CASE("a second agent is opened under load, and a destination stays with its agent")
{
    Bench bench;
    bench.settings.process_limit = 2;
    for (int i = 0; i < 10; ++i) {
        bench.agents.plan["x" + std::to_string(i)] = Does::Hold;
        bench.add("x" + std::to_string(i));
    }
    REQUIRE(bench.until([&] { return bench.transport->running() == 10; }));
    for (int i = 0; i < 10; ++i) {
        bench.agents.plan["y" + std::to_string(i)] = Does::Hold;
        bench.add("y" + std::to_string(i));
    }
    CHECK(bench.until([&] { return bench.agents.connections == 2; }));
    bench.add("z");
    REQUIRE(bench.until([&] { return bench.owner.delivered == 1; }));
    const int first = bench.agents.agent_of["z"];
    bench.add("z");
    REQUIRE(bench.until([&] { return bench.owner.delivered == 2; }));
    CHECK(bench.agents.agent_of["z"] == first);
}

TEST_CASE("53: a destination that nothing reaches is dead for a while, and what waits for it is deferred unseen")
{
    Bench bench;
    bench.settings.concurrency.initial = 1;
    bench.agents.plan["x"] = Does::FailSite;
    bench.add("x");
    bench.add("x");
    bench.add("y");
    CHECK(bench.all_over());
    REQUIRE(bench.owner.reasons.size() == 2);
    CHECK(bench.owner.reasons[0] == "connect: Connection refused");
    CHECK(bench.owner.reasons[1] == "delivery temporarily suspended: connect: Connection refused");
    CHECK(bench.owner.delivered == 1);
    CHECK(bench.transport->dead_destinations() == 1);
    bench.add("x");
    CHECK(bench.owner.reasons.size() == 3);
    CHECK(std::count(bench.agents.seen.begin(), bench.agents.seen.end(), "x") == 1);
}

TEST_CASE("35: a flush gives a dead destination another chance")
{
    Bench bench;
    bench.settings.concurrency.initial = 1;
    bench.agents.plan["x"] = Does::FailSite;
    bench.add("x");
    REQUIRE(bench.all_over());
    bench.agents.plan["x"] = Does::Deliver;
    bench.transport->flush();
    bench.add("x");
    CHECK(bench.all_over());
    CHECK(bench.owner.delivered == 1);
}

TEST_CASE("a delivery whose agent dies is done again by another agent, without blame on its recipients")
{
    Bench bench;
    bench.agents.plan["x"] = Does::Hold;
    bench.add("x");
    REQUIRE(bench.until([&] { return bench.agents.seen.size() == 1; }));
    bench.agents.plan["x"] = Does::Deliver;
    bench.agents.tasks.cancel_all();
    bench.loop.run_once(Duration::milliseconds(10));
    bench.agents.tasks.spawn(bench.agents.accept_all());
    CHECK(bench.all_over());
    CHECK(bench.owner.delivered == 1);
    CHECK(bench.owner.reasons.empty());
}

TEST_CASE("a delivery that kills its agents is given up for now, and the others get through")
{
    Bench bench;
    bench.agents.plan["deadly"] = Does::Die;
    bench.add("deadly");
    CHECK(bench.until([&] { return bench.owner.over == 1; }));
    REQUIRE(bench.owner.reasons.size() == 1);
    CHECK(bench.agents.seen.size() == 2);
}

TEST_CASE("when nobody listens the transport is unavailable for transport_retry_time")
{
    Bench bench;
    bench.settings.socket_path = "/tmp/posthouse-no-such-socket";
    bench.add("x");
    CHECK(bench.all_over());
    REQUIRE(bench.owner.reasons.size() == 1);
    CHECK(bench.owner.reasons[0] == "mail transport unavailable");
    bench.add("y");
    CHECK(bench.owner.reasons.size() == 2);
}

TEST_CASE("an agent that is busy gets no more for now, and its delivery waits for another attempt")
{
    Bench bench;
    bench.agents.plan["x"] = Does::SayBusy;
    bench.add("x");
    CHECK(bench.all_over());
    CHECK(bench.owner.reasons.size() == 1);
    CHECK(bench.transport->dead_destinations() == 0);
}

TEST_CASE("a transport that is paused starts nothing more but hears the results of what runs")
{
    Bench bench;
    bench.add("x");
    REQUIRE(bench.all_over());
    bench.transport->pause();
    bench.add("x");
    bench.loop.run_once(Duration::milliseconds(50));
    CHECK(bench.agents.seen.size() == 1);
}

TEST_CASE("54: after a reload what runs is finished by the old agent, and what comes goes to a new one")
{
    Bench bench;
    bench.agents.plan["x"] = Does::Hold;
    bench.add("x");
    REQUIRE(bench.until([&] { return bench.agents.seen.size() == 1; }));
    bench.transport->adopt(bench.settings);
    bench.add("y");
    REQUIRE(bench.until([&] { return bench.owner.delivered == 1; }));
    CHECK(bench.agents.connections == 2);
    CHECK(bench.transport->running() == 1);
    CHECK(bench.agents.agent_of["y"] != bench.agents.agent_of["x"]);
    bench.transport->adopt(bench.settings);
    CHECK(bench.until([&] { return bench.transport->agents() == 1; })); // the idle one leaves at once
    CHECK(bench.owner.reasons.empty());
}

TEST_CASE("56: an agent that leaves finishes what it has got, and what comes goes to a new one")
{
    Bench bench;
    bench.agents.plan["x"] = Does::HoldAndLeave;
    bench.add("x");
    REQUIRE(bench.until([&] { return bench.agents.seen.size() == 1; }));
    bench.loop.run_once(Duration::milliseconds(20));
    bench.add("y");
    REQUIRE(bench.until([&] { return bench.owner.delivered == 1; }));
    CHECK(bench.agents.connections == 2);
    CHECK(bench.transport->running() == 1);
    CHECK(bench.agents.agent_of["y"] != bench.agents.agent_of["x"]);
    CHECK(bench.owner.reasons.empty());
}

TEST_CASE("56: the connection of an agent that leaves ends with its last delivery, and nothing is repeated")
{
    Bench bench;
    bench.agents.plan["x"] = Does::DeliverAndLeave;
    for (int i = 0; i < 5; ++i)
        bench.add("x");
    REQUIRE(bench.until([&] { return bench.owner.delivered == 5 && bench.transport->agents() == 0; }));
    CHECK(bench.agents.seen.size() == 5);
    CHECK(bench.owner.reasons.empty());
}

TEST_CASE("with recipient limit 1 each recipient is a destination of its own")
{
    Bench bench;
    bench.settings.recipient_limit = 1;
    bench.make();
    CHECK(&bench.transport->destination("x", "a@x", Traffic::Mail) != &bench.transport->destination("x", "b@x", Traffic::Mail));
    bench.settings.recipient_limit = 50;
    bench.make();
    CHECK(&bench.transport->destination("x", "a@x", Traffic::Mail) == &bench.transport->destination("x", "b@x", Traffic::Mail));
}
