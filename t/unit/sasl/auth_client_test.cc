// The connection to an authentication service, against one that is a script: shared, opened again, bounded.
#include "lib/sasl/auth_client.h"
#include "lib/base/cat.h"
#include "t/support/catch.h"
#include "t/support/run_task.h"
#include "t/unit/sasl/auth_peer.h"

#include <algorithm>
#include <memory>

using namespace posthouse;
using namespace posthouse::sasl;
using posthouse::test::AuthPeer;
using posthouse::test::run_task;
using Connection = AuthPeer::Connection;

namespace {

Deadline soon() { return Deadline::after(Duration::seconds(5)); }

AuthClientLimits quick()
{
    AuthClientLimits limits;
    limits.connect_timeout = Duration::milliseconds(300);
    limits.retry_delay = Duration();
    return limits;
}

struct Fixture {
    explicit Fixture(std::vector<AuthPeer::Handle> connections, AuthClientLimits limits = quick())
        : peer(std::move(connections)), client(loop, *net::ServiceAddress::parse(cat("unix:", peer.path())), nullptr, limits)
    {
    }
    Result<std::vector<Mechanism>> mechanisms() { return run_task(loop, client.mechanisms(soon())); }

    Loop loop;
    AuthPeer peer;
    AuthClient client;
};

AuthRequest plain(std::string_view response = "AGEAYg==")
{
    AuthRequest request;
    request.mechanism = "PLAIN";
    request.initial.emplace(response);
    return request;
}

Task<Result<AuthReply>> login(AuthClient& client, Deadline deadline)
{
    AuthExchange exchange(client);
    co_return co_await exchange.begin(plain(), deadline);
}

// The second field of a line: the number of the request.
std::string id_of(const std::string& line)
{
    const size_t tab = line.find('\t') + 1;
    return line.substr(tab, line.find('\t', tab) - tab);
}

void accept_all(Connection& peer)
{
    peer.greet();
    for (std::string line = peer.line(); !line.empty(); line = peer.line())
        peer.send("OK\t" + id_of(line) + "\tuser=bob\n");
}

void hang_up(Connection&) {}

} // namespace

TEST_CASE("one connection serves all who ask, and is opened when the first one does")
{
    Fixture at({accept_all});
    CHECK(at.peer.connections() == 0);
    for (int count = 0; count < 3; ++count) {
        auto mechanisms = at.mechanisms();
        REQUIRE(mechanisms);
        CHECK(mechanisms->size() == 2);
        auto reply = run_task(at.loop, login(at.client, soon()));
        REQUIRE(reply);
        CHECK(reply->user == "bob");
    }
    CHECK(at.peer.connections() == 1);
    CHECK(at.peer.said()[0] == "VERSION\t1\t2");
    CHECK(at.peer.said()[2] == "AUTH\t1\tPLAIN\tservice=smtp\tnologin\tresp=AGEAYg==");
}

TEST_CASE("replies in another order reach those who asked")
{
    Fixture at({[](Connection& peer) {
        peer.greet();
        const std::string first = id_of(peer.line());
        const std::string second = id_of(peer.line());
        peer.send("OK\t999\tuser=nobody\nOK\t" + second + "\tuser=second\nFAIL\t" + first + "\tuser=first\n");
        peer.line();
    }});
    std::optional<Result<AuthReply>> one, two;
    TaskGroup group(at.loop);
    group.spawn(test::store_result(login(at.client, soon()), one));
    group.spawn(test::store_result(login(at.client, soon()), two));
    while (!one || !two)
        at.loop.run_once(Duration::milliseconds(20));
    REQUIRE(*one);
    CHECK((*one)->kind == AuthReply::Kind::Refused);
    CHECK((*one)->user == "first");
    REQUIRE(*two);
    CHECK((*two)->user == "second");
}

TEST_CASE("challenge and response go on until the service has decided")
{
    Fixture at({[](Connection& peer) {
        peer.greet();
        const std::string id = id_of(peer.line());
        peer.send("CONT\t" + id + "\tVXNlcm5hbWU6\n");
        peer.line();
        peer.send("CONT\t" + id + "\tUGFzc3dvcmQ6\n");
        peer.line();
        peer.send("OK\t" + id + "\tuser=bob\n");
        peer.line();
    }});
    const auto dialogue = [](AuthClient& client) -> Task<Result<AuthReply>> {
        AuthExchange exchange(client);
        AuthRequest request;
        request.mechanism = "LOGIN";
        auto first = co_await exchange.begin(std::move(request), soon());
        if (!first || first->challenge != "VXNlcm5hbWU6")
            co_return first;
        Secret name("Ym9i");
        auto second = co_await exchange.answer(std::move(name), soon());
        if (!second || second->challenge != "UGFzc3dvcmQ6")
            co_return second;
        Secret password("c2VjcmV0");
        co_return co_await exchange.answer(std::move(password), soon());
    };
    auto reply = run_task(at.loop, dialogue(at.client));
    REQUIRE(reply);
    CHECK(reply->kind == AuthReply::Kind::Accepted);
    CHECK(at.peer.said()[3] == "CONT\t1\tYm9i");
    CHECK(at.peer.said()[4] == "CONT\t1\tc2VjcmV0");
}

TEST_CASE("a login that is given up is cancelled, and its late reply disturbs nobody")
{
    Fixture at({[](Connection& peer) {
        peer.greet();
        const std::string id = id_of(peer.line());
        peer.line(); // CANCEL
        peer.send("OK\t" + id + "\tuser=late\n");
        peer.send("OK\t" + id_of(peer.line()) + "\tuser=bob\n");
        peer.line();
    }});
    auto none = run_task(at.loop, login(at.client, Deadline::after(Duration::milliseconds(200))));
    REQUIRE_FALSE(none);
    CHECK(none.error().kind() == ErrorKind::TimedOut);
    auto reply = run_task(at.loop, login(at.client, soon()));
    REQUIRE(reply);
    CHECK(reply->user == "bob");
    CHECK(at.peer.said()[3] == "CANCEL\t1");
}

TEST_CASE("a session that ends in the middle of a login leaves nothing behind, at whatever step")
{
    for (int turns = 1; turns <= 12; ++turns) {
        Fixture at({[](Connection& peer) {
            peer.greet();
            for (std::string line = peer.line(); !line.empty(); line = peer.line())
                if (line.rfind("AUTH", 0) == 0)
                    peer.send("OK\t" + id_of(line) + "\tuser=bob\n");
        }});
        {
            std::optional<Result<AuthReply>> never;
            TaskGroup session(at.loop);
            session.spawn(test::store_result(login(at.client, soon()), never));
            for (int turn = 0; turn < turns && !never; ++turn)
                at.loop.run_once(Duration::milliseconds(5));
        }
        auto reply = run_task(at.loop, login(at.client, soon()));
        REQUIRE(reply);
        CHECK(reply->user == "bob");
        CHECK(at.peer.connections() == 1);
    }
}

TEST_CASE("a connection that was lost is opened again for the next login")
{
    const auto once = [](Connection& peer) {
        peer.greet();
        peer.send("OK\t" + id_of(peer.line()) + "\tuser=before\n");
    };
    Fixture at({once, accept_all});
    REQUIRE(run_task(at.loop, login(at.client, soon())));
    auto reply = run_task(at.loop, login(at.client, soon()));
    REQUIRE(reply);
    CHECK(reply->user == "bob");
    CHECK(at.peer.connections() == 2);
}

TEST_CASE("a login under way when the connection is lost is tried once more when nothing has been answered")
{
    const auto dies = [](Connection& peer) {
        peer.greet();
        peer.line();
    };
    Fixture at({dies, accept_all});
    REQUIRE(at.mechanisms());
    auto reply = run_task(at.loop, login(at.client, soon()));
    REQUIRE(reply);
    CHECK(reply->user == "bob");

    Fixture again({dies, dies, accept_all});
    REQUIRE(again.mechanisms());
    CHECK_FALSE(run_task(again.loop, login(again.client, soon())));
    CHECK(run_task(again.loop, login(again.client, soon()))); // and the next one finds the third connection
}

TEST_CASE("an exchange does not go on after its connection")
{
    Fixture at({[](Connection& peer) {
                    peer.greet();
                    peer.send("CONT\t" + id_of(peer.line()) + "\t\n");
                    peer.line(); // of another, who has to begin again
                },
                accept_all});
    const auto dialogue = [](AuthClient& client) -> Task<bool> {
        AuthExchange exchange(client);
        auto first = co_await exchange.begin(plain(), soon());
        if (!first)
            co_return false;
        auto other = co_await login(client, soon());
        if (!other || other->user != "bob")
            co_return false;
        Secret response("QQ==");
        auto second = co_await exchange.answer(std::move(response), soon());
        co_return !second && second.error().kind() == ErrorKind::Disconnected;
    };
    CHECK(run_task(at.loop, dialogue(at.client)));
    for (const std::string& line : at.peer.said())
        CHECK(line.rfind("CONT", 0) != 0);
}

TEST_CASE("no service: everybody hears of it at once, and it is asked again after the pause")
{
    AuthClientLimits limits = quick();
    limits.retry_delay = Duration::milliseconds(150);
    Fixture at({hang_up, accept_all}, limits);
    CHECK_FALSE(at.mechanisms());
    CHECK_FALSE(at.mechanisms());
    CHECK(at.peer.connections() == 1);
    run_task(at.loop, [](Loop& loop) -> Task<void> { co_await sleep_for(loop, Duration::milliseconds(200)); }(at.loop));
    CHECK(at.mechanisms());

    Loop loop;
    AuthClient nobody(loop, *net::ServiceAddress::parse("unix:/nonexistent/auth"), nullptr, quick());
    auto none = run_task(loop, nobody.mechanisms(soon()));
    REQUIRE_FALSE(none);
    CHECK(none.error().errno_value() == ENOENT);
}

TEST_CASE("a service that says nothing is given up after its time, for all who wait")
{
    AuthClientLimits limits = quick();
    limits.retry_delay = Duration::seconds(1);
    Fixture at({[](Connection& peer) { peer.line(), peer.line(), peer.line(); }}, limits);
    std::optional<Result<AuthReply>> one, two;
    const Instant began = Instant::now();
    {
        TaskGroup group(at.loop);
        group.spawn(test::store_result(login(at.client, soon()), one));
        group.spawn(test::store_result(login(at.client, soon()), two));
        while ((!one || !two) && Instant::now() - began < Duration::seconds(4))
            at.loop.run_once(Duration::milliseconds(20));
    }
    REQUIRE(one);
    REQUIRE(two);
    CHECK_FALSE(*one);
    CHECK_FALSE(*two);
    CHECK(at.peer.connections() == 1);
}

TEST_CASE("a service that breaks the protocol loses its connection, and nothing grows beyond its limit")
{
    const std::string greeting = "VERSION\t1\t2\nMECH\tPLAIN\nDONE\n";
    for (const std::string& bytes :
         {std::string("220 mail.example.com ESMTP\r\n"), "VERSION\t1\t2\n" + std::string(100000, 'x'),
          std::string(100000, 'x'), [] {
              std::string endless = "VERSION\t1\t2\n";
              for (int count = 0; count < 2000; ++count)
                  endless += "SPID\t1\n";
              return endless;
          }()}) {
        Fixture at({[&](Connection& peer) {
            peer.send(bytes);
            while (!peer.line().empty()) {
            }
        }});
        auto none = at.mechanisms();
        REQUIRE_FALSE(none);
        CHECK(none.error().kind() == ErrorKind::Corrupt);
    }
    for (const std::string& bytes : {std::string("OK\tbob\n"), std::string("OK\t1\n"), std::string(100000, 'x')}) {
        Fixture at({[&](Connection& peer) {
            peer.send(greeting + bytes);
            while (!peer.line().empty()) {
            }
        }});
        CHECK_FALSE(run_task(at.loop, login(at.client, soon())));
    }
}

TEST_CASE("a service that trickles byte by byte is understood")
{
    Fixture at({[](Connection& peer) {
        for (const char c : std::string("VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nDONE\n"))
            peer.send(std::string(1, c));
        peer.line(), peer.line();
        for (const char c : "OK\t" + id_of(peer.line()) + "\tuser=bob\n")
            peer.send(std::string(1, c));
        peer.line();
    }});
    auto reply = run_task(at.loop, login(at.client, soon()));
    REQUIRE(reply);
    CHECK(reply->user == "bob");
}

TEST_CASE("a connection ends after its time, but not while a login is under way on it")
{
    AuthClientLimits limits = quick();
    limits.lifetime = Duration::milliseconds(100);
    bool closed_early = false;
    Fixture at({[&](Connection& peer) {
                    peer.greet();
                    const std::string id = id_of(peer.line());
                    ::usleep(300000); // beyond its time
                    peer.send("CONT\t" + id + "\t\n");
                    closed_early = peer.line().empty();
                    peer.send("OK\t" + id + "\tuser=old\n");
                    peer.line(); // returns when the client closes
                },
                accept_all},
               limits);
    const auto dialogue = [](AuthClient& client) -> Task<Result<AuthReply>> {
        AuthExchange exchange(client);
        auto first = co_await exchange.begin(plain(), soon());
        if (!first)
            co_return first;
        Secret response("QQ==");
        co_return co_await exchange.answer(std::move(response), soon());
    };
    auto old = run_task(at.loop, dialogue(at.client));
    REQUIRE(old);
    CHECK(old->user == "old");
    auto fresh = run_task(at.loop, login(at.client, soon()));
    REQUIRE(fresh);
    CHECK(fresh->user == "bob");
    CHECK_FALSE(closed_early);
    CHECK(at.peer.connections() == 2);
}
