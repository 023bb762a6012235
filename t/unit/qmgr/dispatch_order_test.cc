#include "qmgr/dispatch_order.h"
#include "qmgr/message.h"
#include "t/support/catch.h"

#include <map>
#include <string>

using namespace posthouse;
using namespace posthouse::qmgr;

namespace {

constexpr Instant now = Instant::from_ns(1000000000);

// A transport's order with named messages and destinations; take() tells whose turn it was.
class Bench {
public:
    Bench() { limits.most = 0; }

    void add(const std::string& message, const std::string& destination)
    {
        order.add(std::make_unique<Delivery>(message_named(message), destination_named(destination),
                                             std::vector<uint32_t>{0}),
                  turns[message], now);
    }

    // "message>destination", or "" when nothing is ready.
    std::string take()
    {
        Destination* const next = order.next();
        if (next == nullptr)
            return "";
        last = order.take(*next, now);
        return last->message.id() + ">" + next->nexthop;
    }

    void finish(const std::string& destination)
    {
        destination_named(destination).window.reached();
        order.window_changed(destination_named(destination), now);
    }

    Message& message_named(const std::string& name)
    {
        auto& slot = messages[name];
        if (!slot) {
            queue::StoredMessage stored;
            stored.envelope.id = name;
            slot = std::make_unique<Message>(loop, std::move(stored));
        }
        return *slot;
    }

    Destination& destination_named(const std::string& name)
    {
        auto& slot = destinations[name];
        if (!slot)
            slot = std::make_unique<Destination>(name, name, limits);
        return *slot;
    }

    Loop loop;
    ConcurrencyLimits limits;
    std::map<std::string, std::unique_ptr<Message>> messages;
    std::map<std::string, std::unique_ptr<Destination>> destinations;
    std::map<std::string, uint64_t> turns;
    DispatchOrder order;
    std::unique_ptr<Delivery> last;
};

} // namespace

TEST_CASE("deliveries to one destination go in order of arrival")
{
    Bench bench;
    bench.add("a", "x");
    bench.add("b", "x");
    CHECK(bench.take() == "a>x");
    CHECK(bench.take() == "b>x");
    CHECK(bench.take().empty());
}

TEST_CASE("a message that comes later waits for one turn of a mailing with many recipients, not for all")
{
    Bench bench;
    bench.limits.initial = 1000;
    for (int i = 0; i < 100; ++i)
        bench.add("mailing", "d" + std::to_string(i));
    for (int i = 0; i < 10; ++i)
        bench.take();
    bench.add("single", "other");
    const std::string first = bench.take();
    const std::string second = bench.take();
    CHECK((first == "single>other" || second == "single>other"));
}

TEST_CASE("the same holds within one destination")
{
    Bench bench;
    bench.limits.initial = 1000;
    for (int i = 0; i < 100; ++i)
        bench.add("mailing", "x");
    bench.take();
    bench.add("single", "x");
    const std::string first = bench.take();
    const std::string second = bench.take();
    CHECK((first == "single>x" || second == "single>x"));
}

TEST_CASE("many messages to one destination leave every second turn to another")
{
    Bench bench;
    bench.limits.initial = 1000;
    for (int i = 0; i < 100; ++i)
        bench.add("m" + std::to_string(i), "busy");
    for (int i = 0; i < 20; ++i)
        bench.take();
    for (int i = 0; i < 10; ++i)
        bench.add("n" + std::to_string(i), "quiet");
    int quiet = 0;
    for (int i = 0; i < 20; ++i)
        quiet += bench.take().ends_with(">quiet");
    CHECK(quiet >= 9);
}

TEST_CASE("two mailings share the turns evenly, whoever came first")
{
    Bench bench;
    bench.limits.initial = 1000;
    for (int i = 0; i < 50; ++i)
        bench.add("first", "f" + std::to_string(i));
    for (int i = 0; i < 50; ++i)
        bench.add("second", "s" + std::to_string(i));
    int first = 0;
    for (int i = 0; i < 40; ++i)
        first += bench.take().starts_with("first");
    CHECK(first >= 18);
    CHECK(first <= 22);
}

TEST_CASE("a destination with a full window is passed over, and comes back when a delivery ends")
{
    Bench bench;
    bench.limits.initial = 1;
    bench.add("a", "slow");
    bench.add("b", "slow");
    bench.add("c", "fast");
    CHECK(bench.take() == "a>slow");
    CHECK(bench.take() == "c>fast");
    CHECK(bench.take().empty());
    bench.finish("slow");
    CHECK(bench.take() == "b>slow");
}

TEST_CASE("a destination that waits for time opens when the time has come")
{
    Bench bench;
    bench.limits.rate_delay = Duration::seconds(5);
    bench.add("a", "x");
    bench.add("b", "x");
    REQUIRE(bench.take() == "a>x");
    Destination& destination = bench.destination_named("x");
    destination.window.reached();
    destination.window.rate_pause(now);
    bench.order.window_changed(destination, now);
    CHECK(bench.take().empty());
    CHECK(bench.order.next_opening() == now + Duration::seconds(5));
    bench.order.open_due(now + Duration::seconds(5));
    CHECK(bench.order.next() == &destination);
}

TEST_CASE("what is put back keeps its turn")
{
    Bench bench;
    bench.limits.initial = 1;
    bench.add("a", "x");
    bench.add("b", "x");
    REQUIRE(bench.take() == "a>x");
    bench.destination_named("x").window.withdrawn();
    bench.order.put_back(std::move(bench.last), now);
    CHECK(bench.take() == "a>x");
}

TEST_CASE("draining a destination gives back all that waits there and leaves the rest")
{
    Bench bench;
    bench.add("a", "x");
    bench.add("b", "x");
    bench.add("c", "y");
    CHECK(bench.order.drain(bench.destination_named("x"), now).size() == 2);
    CHECK(bench.order.waiting() == 1);
    CHECK(bench.take() == "c>y");
}

TEST_CASE("one message can be taken out of a destination's queue")
{
    Bench bench;
    bench.add("a", "x");
    bench.add("b", "x");
    CHECK(bench.order.take_out(bench.destination_named("x"), bench.message_named("a"), now).size() == 1);
    CHECK(bench.take() == "b>x");
    CHECK(bench.take().empty());
}
