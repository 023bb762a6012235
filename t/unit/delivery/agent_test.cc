// The client as qmgr sees it: requests in, outcomes out, over a channel.
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/event/notify.h"
#include "smtp/agent.h"
#include "t/support/catch.h"
#include "t/support/run_task.h"
#include "t/unit/delivery/peer.h"

#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <netinet/in.h>
#include <sys/socket.h>

using namespace posthouse;
using namespace posthouse::test;
using queue::DeliveryStatus;

namespace {

const std::string hello = "S: 220 mx ESMTP\nC: EHLO client.example\nS: 250-mx\nS: 250 PIPELINING\n";
const std::string transaction = "C: MAIL\nC: RCPT TO:\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 354 go\nD\nS: 250 Ok\n";

// qmgr's end and an agent that serves it.
class Pair {
public:
    explicit Pair(Client& client) : tasks_(client.loop)
    {
        int fds[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        queue_manager = std::make_unique<ipc::Channel>(client.loop, UniqueFd(fds[0]));
        agent = std::make_unique<smtp_client::Agent>(client.loop, client.pool, client.settings, client.names, *client.cache, UniqueFd(fds[1]));
        tasks_.spawn(serve(*this));
    }
    std::unique_ptr<ipc::Channel> queue_manager;
    std::unique_ptr<smtp_client::Agent> agent;
    bool served = false;

private:
    static Task<void> serve(Pair& pair)
    {
        co_await pair.agent->serve();
        pair.served = true;
    }
    TaskGroup tasks_;
};

template <class Message>
Message receive(Client& client, Pair& pair)
{
    auto frame = run_task(client.loop, pair.queue_manager->receive(Deadline::after(Duration::seconds(5))));
    REQUIRE(frame);
    auto message = Message::from_frame(*frame);
    REQUIRE(message);
    return std::move(*message);
}

// Where there is a page cache to empty, or to read from without a thread.
UniqueFd file_on_disk(const queue::DeliveryRequest& request, std::string_view content)
{
    char path[] = "/var/tmp/content-XXXXXX";
    UniqueFd file(::mkstemp(path));
    REQUIRE(file);
    ::unlink(path);
    REQUIRE(pwrite_all(file.get(), content, request.content.offset));
    return file;
}

Task<void> stop_when_readable(Watch& watch, smtp_client::Agent& agent)
{
    (void)co_await watch.readable(Deadline::never());
    agent.stop(smtp_client::Agent::Stop::Soon);
}

} // namespace

TEST_CASE("an agent says hello, delivers, and answers each request")
{
    Client client;
    Peer peer(client.loop, {hello + transaction, hello + transaction});
    Pair pair(client);
    const auto greeting = receive<queue::AgentHello>(client, pair);
    CHECK(greeting.max_concurrent == 100);
    for (uint64_t serial : {1u, 2u}) {
        auto request = client.request(bracketed(peer), {"a@b.example"});
        request.serial = serial;
        REQUIRE(pair.queue_manager->post(std::move(request).to_frame()));
    }
    for (int i = 0; i < 2; ++i) {
        const auto done = receive<queue::DeliveryDone>(client, pair);
        REQUIRE(done.outcomes.size() == 1);
        CHECK(done.outcomes[0].serial == done.serial);
        CHECK(done.outcomes[0].status == DeliveryStatus::Delivered);
    }
    CHECK(peer.contents.size() == 2);
}

TEST_CASE("an agent that is to end when it is done asks for no more work and does what it has got, or is about to get")
{
    Client client;
    Peer peer(client.loop, {hello + transaction, hello + transaction});
    Pair pair(client);
    receive<queue::AgentHello>(client, pair);
    REQUIRE(pair.queue_manager->post(client.request(bracketed(peer), {"a@b.example"}).to_frame()));
    for (int i = 0; i < 100 && peer.connections == 0; ++i)
        client.loop.run_once(Duration::milliseconds(10));
    pair.agent->stop(smtp_client::Agent::Stop::WhenDone);
    auto on_its_way = client.request(bracketed(peer), {"b@b.example"});
    on_its_way.serial = 8;
    REQUIRE(pair.queue_manager->post(std::move(on_its_way).to_frame()));
    receive<queue::AgentLeaving>(client, pair);
    for (int i = 0; i < 2; ++i)
        CHECK(receive<queue::DeliveryDone>(client, pair).outcomes.at(0).status == DeliveryStatus::Delivered);
    CHECK_FALSE(pair.served);
    pair.queue_manager.reset();
    for (int i = 0; i < 10 && !pair.served; ++i)
        client.loop.run_once(Duration::milliseconds(10));
    CHECK(pair.served);
}

TEST_CASE("content that has to come from the disk is sent whole, in one write or in pieces")
{
    for (const size_t lines : {500u, 8000u}) {
        std::string content = "Subject: x\r\n\r\n";
        for (size_t i = 0; i < lines; ++i)
            content += cat("line ", i, " of a message that waited for long\r\n");
        Client client;
        Peer peer(client.loop, {hello + transaction});
        auto request = client.request(bracketed(peer), {"a@b.example"}, content);
        request.file = file_on_disk(request, content);
        REQUIRE(::fsync(request.file.get()) == 0);
        REQUIRE(::posix_fadvise(request.file.get(), 0, 0, POSIX_FADV_DONTNEED) == 0);
        const auto done = client.deliver(std::move(request));
        CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
        REQUIRE(peer.contents.size() == 1);
        CHECK(peer.contents[0] == content);
    }
}

TEST_CASE("an agent that is to end soon gives back what is not being sent, keeps the connection, and reports the rest")
{
    Client client;
    Peer sent(client.loop, {"S: 220 mx ESMTP\nC: EHLO\nS: 250-mx\nS: 250 PIPELINING\nC: MAIL\nC: RCPT\nC: DATA\n"
                            "S: 250 Ok\nS: 250 Ok\nS: 354 go\nD\nWAIT\nS: 250 Ok\n"});
    Peer silent(client.loop, {"HANG"});
    Pair pair(client);
    receive<queue::AgentHello>(client, pair);
    uint64_t serial = 0;
    for (const Peer* peer : {&sent, &silent}) {
        auto request = client.request(bracketed(*peer), {"a@b.example"});
        request.serial = ++serial;
        REQUIRE(pair.queue_manager->post(std::move(request).to_frame()));
    }
    for (int i = 0; i < 200 && (sent.contents.empty() || silent.connections == 0); ++i)
        client.loop.run_once(Duration::milliseconds(10));
    REQUIRE(sent.contents.size() == 1);
    pair.agent->stop(smtp_client::Agent::Stop::Soon);
    auto late = client.request(bracketed(silent), {"b@b.example"}); // from before qmgr heard of it
    late.serial = 3;
    REQUIRE(pair.queue_manager->post(std::move(late).to_frame()));
    receive<queue::AgentLeaving>(client, pair);
    std::map<uint64_t, queue::DeliveryDone> answers;
    for (int i = 0; i < 3; ++i) {
        auto done = receive<queue::DeliveryDone>(client, pair);
        answers.emplace(done.serial, std::move(done));
    }
    CHECK(answers.at(1).outcomes.at(0).status == DeliveryStatus::Delivered);
    CHECK(answers.at(2).site == queue::SiteStatus::AgentBusy);
    CHECK(answers.at(3).site == queue::SiteStatus::AgentBusy);
    CHECK_FALSE(pair.served);
    pair.queue_manager.reset();
    for (int i = 0; i < 10 && !pair.served; ++i)
        client.loop.run_once(Duration::milliseconds(10));
    CHECK(pair.served);
}

TEST_CASE("what a host asks for at the very moment of a stop is not sent")
{
    Client client;
    const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(::listen(listener.get(), 1) == 0);
    REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    Pair pair(client);
    receive<queue::AgentHello>(client, pair);
    const std::string nexthop = cat("[127.0.0.1]:", ntohs(address.sin_port));
    auto request = client.request(nexthop, {"a@b.example"}, "Subject: x\r\n\r\n");
    request.file = file_on_disk(request, "Subject: x\r\n\r\n");
    REQUIRE(pair.queue_manager->post(std::move(request).to_frame()));
    UniqueFd host;
    for (int i = 0; i < 200 && !host; ++i) {
        client.loop.run_once(Duration::milliseconds(10));
        host.reset(::accept(listener.get(), nullptr, nullptr));
    }
    const auto say = [&host](std::string_view text) {
        REQUIRE(::send(host.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
    };
    std::string heard;
    const auto listen = [&] {
        client.loop.run_once(Duration::milliseconds(10));
        char piece[4096];
        const ssize_t got = ::recv(host.get(), piece, sizeof piece, MSG_DONTWAIT);
        heard.append(piece, static_cast<size_t>(got > 0 ? got : 0));
    };
    say("220 mx ESMTP\r\n250-mx\r\n250 PIPELINING\r\n250 Ok\r\n250 Ok\r\n");
    for (int i = 0; i < 100 && !heard.ends_with("DATA\r\n"); ++i)
        listen();
    REQUIRE(heard.ends_with("DATA\r\n"));

    // The end of master and the reply, in this order, in one turn of the loop.
    int master[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, master) == 0);
    const UniqueFd master_end(master[0]);
    const UniqueFd child_end(master[1]);
    Watch watch(client.loop, child_end.get());
    TaskGroup tasks(client.loop);
    tasks.spawn(stop_when_readable(watch, *pair.agent));
    client.loop.run_once(Duration());
    REQUIRE(::send(master_end.get(), "x", 1, MSG_NOSIGNAL) == 1);
    say("354 go\r\n");
    receive<queue::AgentLeaving>(client, pair);
    CHECK(receive<queue::DeliveryDone>(client, pair).site == queue::SiteStatus::AgentBusy);
    listen();
    CHECK(heard.ends_with("DATA\r\n"));
}

TEST_CASE("what a host puts off during a stop goes to no other, and waits with what that host said")
{
    Client client;
    client.names.add_mx("b.example", 10, "one.example");
    client.names.add_mx("b.example", 20, "two.example");
    client.names.add_address("one.example", "127.0.0.1");
    client.names.add_address("two.example", "127.0.0.2");
    Peer one(client.loop, {"S: 220 mx ESMTP\nC: EHLO\nS: 250-mx\nS: 250 PIPELINING\nC: MAIL\nC: RCPT\nC: DATA\n"
                           "S: 250 Ok\nS: 250 Ok\nS: 354 go\nD\nWAIT\nS: 451 not now\n"});
    Peer two(client.loop, {hello + transaction}, "127.0.0.2", one.port());
    Pair pair(client);
    receive<queue::AgentHello>(client, pair);
    REQUIRE(pair.queue_manager->post(client.request(cat("b.example:", one.port()), {"a@b.example"}).to_frame()));
    for (int i = 0; i < 200 && one.contents.empty(); ++i)
        client.loop.run_once(Duration::milliseconds(10));
    REQUIRE(one.contents.size() == 1);
    pair.agent->stop(smtp_client::Agent::Stop::Soon);
    receive<queue::AgentLeaving>(client, pair);
    const auto done = receive<queue::DeliveryDone>(client, pair);
    CHECK(done.site != queue::SiteStatus::AgentBusy);
    REQUIRE(done.outcomes.size() == 1);
    CHECK(done.outcomes.front().status == queue::DeliveryStatus::Deferred);
    CHECK(done.outcomes.front().text.find("451 not now") != std::string::npos);
    CHECK(two.connections == 0);
}

TEST_CASE("when the queue manager goes away deliveries under way are given up")
{
    const long before = task_detail::live_frames;
    {
        Client client;
        Peer peer(client.loop, {"S: 220 mx ESMTP\nC: EHLO\nHANG"});
        Pair pair(client);
        receive<queue::AgentHello>(client, pair);
        REQUIRE(pair.queue_manager->post(client.request(bracketed(peer), {"a@b.example"}).to_frame()));
        for (int i = 0; i < 100 && peer.lines.empty(); ++i)
            client.loop.run_once(Duration::milliseconds(10));
        pair.queue_manager.reset();
        for (int i = 0; i < 10 && !pair.served; ++i)
            client.loop.run_once(Duration::milliseconds(10));
        CHECK(pair.served);
    }
    CHECK(task_detail::live_frames == before);
}

TEST_CASE("a cancelled delivery tries no further host and leaves its recipients open")
{
    Client client;
    client.names.add_mx("b.example", 10, "one.example");
    client.names.add_mx("b.example", 20, "two.example");
    client.names.add_address("one.example", "127.0.0.1");
    client.names.add_address("two.example", "127.0.0.2");
    client.settings.helo_timeout = Duration::milliseconds(200);
    Peer one(client.loop, {"HANG"});
    Peer two(client.loop, {hello + transaction}, "127.0.0.2", one.port());
    Pair pair(client);
    receive<queue::AgentHello>(client, pair);
    REQUIRE(pair.queue_manager->post(client.request(cat("b.example:", one.port()), {"a@b.example"}).to_frame()));
    for (int i = 0; i < 100 && one.connections == 0; ++i)
        client.loop.run_once(Duration::milliseconds(10));
    REQUIRE(pair.queue_manager->post(queue::DeliveryCancel(7).to_frame()));
    const auto done = receive<queue::DeliveryDone>(client, pair);
    CHECK(done.outcomes.empty());
    CHECK(two.connections == 0);
}

TEST_CASE("a delivery can be cancelled at each turn of the loop and leaves nothing alive")
{
    const long before = task_detail::live_frames;
    bool ended = false;
    int turns = 0;
    for (; !ended && turns < 500; ++turns) {
        Client client;
        client.names.add_mx("b.example", 10, "one.example");
        client.names.add_mx("b.example", 20, "two.example");
        client.names.add_address("one.example", "127.0.0.1");
        client.names.add_address("two.example", "127.0.0.2");
        Peer one(client.loop, {"S: 220 mx ESMTP\nC: EHLO\nS: 250 mx\nC: MAIL\nS: 250 Ok\nC: RCPT\nS: 450 later\n"});
        Peer two(client.loop, {hello + transaction}, "127.0.0.2", one.port());
        Pair pair(client);
        REQUIRE(pair.queue_manager->post(client.request(cat("b.example:", one.port()), {"a@b.example"}).to_frame()));
        for (int i = 0; i < turns; ++i)
            client.loop.run_once(Duration::milliseconds(20));
        ended = two.contents.size() == 1 && client.cache->size() == 2;
    }
    CHECK(ended);
    CHECK(turns > 5);
    CHECK(task_detail::live_frames == before);
}
