// The three protocols and the line that agents log.
#include "lib/ipc/channel.h"
#include "lib/queue/control_protocol.h"
#include "lib/queue/delivery_protocol.h"
#include "lib/queue/lease_protocol.h"
#include "lib/queue/log_outcome.h"
#include "t/support/catch.h"
#include "t/support/temp_queue.h"

#include <unistd.h>

using namespace posthouse;
using namespace posthouse::queue;
using namespace posthouse::test;

namespace {

DeliveryRequest sample_request()
{
    DeliveryRequest request;
    request.serial = 7;
    request.transport = "smtp";
    request.nexthop = "example.net";
    request.envelope = sample_envelope(2);
    request.envelope.id = "4jXH762BTdzB2";
    request.envelope.arrival_us = 1000000;
    request.envelope.recipients[1].original = "alias@example.net";
    request.indexes = {3, 9};
    request.content = info_of("hello\r\n");
    request.active_us = 1250000;
    request.start_us = 1260000;
    request.file = UniqueFd(::dup(0));
    return request;
}

// A frame that is right, that is cut at each length, and that has something behind its end.
template <class Message>
void check_strict(const Message& message, size_t descriptors = 0)
{
    const std::string body = message.to_frame().body;
    const auto decode = [&](const std::string& bytes, uint16_t type, size_t count) {
        ipc::Frame frame(type, bytes);
        for (size_t i = 0; i < count; ++i)
            frame.fds.emplace_back(::dup(0));
        return static_cast<bool>(Message::from_frame(frame));
    };
    CHECK(decode(body, Message::type, descriptors));
    for (size_t length = 0; length < body.size(); ++length)
        CHECK_FALSE(decode(body.substr(0, length), Message::type, descriptors));
    CHECK_FALSE(decode(body + '\0', Message::type, descriptors));
    CHECK_FALSE(decode(body, Message::type + 1, descriptors));
    CHECK_FALSE(decode(body, Message::type, descriptors + 1));
}

} // namespace

TEST_CASE("Messages between programs are decoded whole or not at all")
{
    LeaseHello hello;
    hello.role = "smtpd";
    hello.held = {256, 512};
    check_strict(hello);
    check_strict(LeaseRequest(5));
    Lease lease;
    lease.slots = {LeasedSlot(256, 1), LeasedSlot(512, 2)};
    check_strict(lease, 2);
    check_strict(LeaseRefused("4.3.1", "full"));
    Committed committed;
    committed.messages.emplace_back().envelope = sample_envelope(2);
    check_strict(committed);
    Dropped dropped;
    dropped.leases = {DroppedLease(256, true)};
    check_strict(dropped);
    check_strict(AgentHello(4711, 20));
    const RecipientOutcome outcome(7, 9, DeliveryStatus::Failed, "5.1.1", "no such user");
    check_strict(outcome);
    DeliveryDone done(7);
    done.outcomes = {outcome};
    check_strict(done);
    check_strict(DeliveryCancel(7));
    check_strict(AgentLeaving());
    check_strict(ControlList());
    check_strict(ListEntry());
    check_strict(ControlFlush(FlushWhat::Site, "example.com"));
    check_strict(ControlAct());
    check_strict(ControlEnd());
}

TEST_CASE("A delivery request arrives with its recipients' places and its descriptor")
{
    ipc::Frame frame = sample_request().to_frame();
    REQUIRE(frame.fds.size() == 1);
    const auto request = DeliveryRequest::from_frame(std::move(frame));
    REQUIRE(request);
    CHECK(request->serial == 7);
    CHECK(request->envelope == sample_request().envelope);
    CHECK(request->indexes == std::vector<uint32_t>{3, 9});
    CHECK(request->content.size == 7);
    CHECK(request->file);
}

TEST_CASE("Outcomes of another delivery in a DeliveryDone are refused")
{
    DeliveryDone done(7);
    done.outcomes = {RecipientOutcome(8, 0, DeliveryStatus::Delivered, "2.0.0", "ok")};
    CHECK_FALSE(DeliveryDone::from_frame(done.to_frame()));
}

TEST_CASE("Queue names are those of postsuper and mailq")
{
    CHECK(queue_set_from("") == AllQueues);
    CHECK(queue_set_from("deferred") == Deferred);
    CHECK(queue_set_from("corrupt") == Corrupt);
    CHECK(queue_set_from("bounce") == NoQueue);
    CHECK(queue_name(Hold) == "hold");
}

TEST_CASE("The log line of a recipient has Postfix's shape")
{
    RecipientOutcome outcome(7, 9, DeliveryStatus::Delivered, "2.0.0", "250 2.0.0 Ok: queued as 1234");
    outcome.relay = "mx.example.net[192.0.2.5]:25";
    outcome.connect_us = 210000;
    outcome.transmit_us = 1520000;
    CHECK(outcome_line(sample_request(), 0, outcome, 3000000) ==
          "4jXH762BTdzB2: to=<user0@example.net>, relay=mx.example.net[192.0.2.5]:25, delay=2, "
          "delays=0.25/0.01/0.21/1.5, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 1234)");
    outcome.status = DeliveryStatus::Deferred;
    outcome.relay = "none";
    CHECK(outcome_line(sample_request(), 1, outcome, 3000000).starts_with(
        "4jXH762BTdzB2: to=<user1@example.net>, orig_to=<alias@example.net>, relay=none, delay=2, "));
}

TEST_CASE("Delays are logged with two significant digits below ten seconds")
{
    CHECK(delay_text(-5) == "0");
    CHECK(delay_text(4000) == "0");
    CHECK(delay_text(14000) == "0.01");
    CHECK(delay_text(100000) == "0.1");
    CHECK(delay_text(999999) == "1");
    CHECK(delay_text(3140000) == "3.1");
    CHECK(delay_text(12400000) == "12");
    CHECK(delay_text(3600000000) == "3600");
}
