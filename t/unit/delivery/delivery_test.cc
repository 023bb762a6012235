// Dialogues of the client with scripted hosts: outcomes for each recipient, and what goes over the wire.
#include "t/support/catch.h"
#include "t/unit/delivery/peer.h"

using namespace posthouse;
using namespace posthouse::test;
using queue::DeliveryStatus;
using queue::SiteStatus;

namespace {

const std::string hello = "S: 220 mx ESMTP\nC: EHLO client.example\nS: 250-mx\nS: 250-PIPELINING\nS: 250-8BITMIME\nS: 250 SIZE 0\n";
const std::string plain_hello = "S: 220 mx ESMTP\nC: EHLO client.example\nS: 250 mx\n";
const std::string accept_one = "C: MAIL FROM:<sender@example.com>\nC: RCPT TO:\nC: DATA\nS: 250 2.1.0 Ok\nS: 250 2.1.5 Ok\nS: 354 go\nD\nS: 250 2.0.0 queued as X\n";
const std::string two_rcpts = "C: MAIL\nC: RCPT\nC: RCPT\nC: DATA\n";

} // namespace

TEST_CASE("a message is delivered in pipelined commands, and the reply stands in the outcome")
{
    Client client;
    Peer peer(client.loop, {hello + accept_one + "A: QUIT"});
    const auto done = client.deliver(bracketed(peer), {"a@b.example"});
    REQUIRE(done.outcomes.size() == 1);
    CHECK(done.outcomes[0].status == DeliveryStatus::Delivered);
    CHECK(done.outcomes[0].index == 10);
    CHECK(done.outcomes[0].dsn == "2.0.0");
    CHECK(done.outcomes[0].text == "250 2.0.0 queued as X");
    CHECK(done.outcomes[0].relay == cat("127.0.0.1[127.0.0.1]:", peer.port()));
    CHECK(done.outcomes[0].action == queue::DeliveryAction::Relayed);
    CHECK(done.site == SiteStatus::Ok);
    CHECK(peer.problem.empty());
    REQUIRE(peer.contents.size() == 1);
    CHECK(peer.contents[0] == "Subject: x\r\n\r\nhello\r\n");
    CHECK(peer.lines[1] == "MAIL FROM:<sender@example.com> SIZE=21");
    CHECK(peer.lines[2] == "RCPT TO:<a@b.example>");
}

TEST_CASE("without PIPELINING each command waits for its reply")
{
    Client client;
    Peer peer(client.loop, {plain_hello + "C: MAIL FROM:<sender@example.com>\nS: 250 Ok\nC: RCPT\nS: 250 Ok\nC: DATA\nS: 354 go\nD\nS: 250 Ok\n"});
    const auto done = client.deliver(bracketed(peer), {"a@b.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
    CHECK(done.outcomes.at(0).dsn == "2.0.0");
    CHECK(peer.problem.empty());
}

TEST_CASE("recipients that fare differently in one transaction are told apart")
{
    Client client;
    Peer peer(client.loop, {hello + "C: MAIL\nC: RCPT\nC: RCPT\nC: RCPT\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 450 4.2.1 later\nS: 550 5.1.1 nobody\nS: 354 go\nD\nS: 250 Ok\n"});
    const auto done = client.deliver(bracketed(peer), {"a@b.example", "c@b.example", "d@b.example"});
    REQUIRE(done.outcomes.size() == 3);
    CHECK(done.outcomes[0].status == DeliveryStatus::Delivered);
    CHECK(done.outcomes[1].status == DeliveryStatus::Deferred);
    CHECK(done.outcomes[1].dsn == "4.2.1");
    CHECK(done.outcomes[2].status == DeliveryStatus::Failed);
    CHECK(done.outcomes[2].dsn == "5.1.1");
    CHECK(done.outcomes[2].diagnostic == "smtp; 550 5.1.1 nobody");
    CHECK(done.outcomes[2].remote_mta == "dns; 127.0.0.1");
    CHECK(done.outcomes[2].text == "host 127.0.0.1[127.0.0.1] said: 550 5.1.1 nobody (in reply to RCPT TO command)");
    CHECK(done.site == SiteStatus::Ok);
}

TEST_CASE("delivered recipients are reported before another host is tried for the rest")
{
    Client client;
    client.names.add_mx("b.example", 10, "one.example");
    client.names.add_mx("b.example", 20, "two.example");
    client.names.add_address("one.example", "127.0.0.1");
    client.names.add_address("two.example", "127.0.0.2");
    Peer one(client.loop, {hello + two_rcpts + "S: 250 Ok\nS: 250 Ok\nS: 450 later\nS: 354 go\nD\nS: 250 Ok\n"});
    Peer two(client.loop, {hello + accept_one}, "127.0.0.2", one.port());
    const auto done = client.deliver(cat("b.example:", one.port()), {"a@b.example", "c@b.example"});
    CHECK(client.reported_early == 1);
    REQUIRE(done.outcomes.size() == 2);
    CHECK(done.outcomes[0].status == DeliveryStatus::Delivered);
    CHECK(done.outcomes[1].status == DeliveryStatus::Delivered);
    CHECK(done.outcomes[1].relay == cat("two.example[127.0.0.2]:", one.port()));
    CHECK(two.lines.at(2) == "RCPT TO:<c@b.example>");
}

TEST_CASE("when all recipients are refused no DATA is sent")
{
    Client client;
    Peer peer(client.loop, {plain_hello + "C: MAIL\nS: 250 Ok\nC: RCPT\nS: 550 no\nA: QUIT"});
    client.settings.keep_connections = false;
    const auto done = client.deliver(bracketed(peer), {"a@b.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Failed);
    client.loop.run_once(Duration::milliseconds(50));
    client.loop.run_once(Duration::milliseconds(50));
    CHECK(peer.problem.empty());
}

TEST_CASE("an unwanted 354 is answered with an empty message, whose reply counts for nobody")
{
    Client client;
    Peer peer(client.loop, {hello + "C: MAIL\nC: RCPT\nC: DATA\nS: 250 Ok\nS: 450 4.2.1 later\nS: 354 go\nD\nS: 250 Ok\nC: RSET\n"});
    const auto done = client.deliver(bracketed(peer), {"a@b.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Deferred);
    REQUIRE(peer.contents.size() == 1);
    CHECK(peer.contents[0].empty());
    CHECK(peer.problem.empty());
}

TEST_CASE("a host that dies after the final dot means a deferral, and no other host is asked")
{
    Client client;
    client.names.add_mx("b.example", 10, "one.example");
    client.names.add_mx("b.example", 20, "two.example");
    client.names.add_address("one.example", "127.0.0.1");
    client.names.add_address("two.example", "127.0.0.2");
    Peer one(client.loop, {hello + "C: MAIL\nC: RCPT\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 354 go\nD\nCLOSE"});
    Peer two(client.loop, {hello + accept_one}, "127.0.0.2", one.port());
    const auto done = client.deliver(cat("b.example:", one.port()), {"a@b.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Deferred);
    CHECK(done.outcomes.at(0).dsn == "4.4.2");
    CHECK(done.outcomes.at(0).text == "lost connection with one.example[127.0.0.1] while sending end of data -- message may be sent more than once");
    CHECK(two.connections == 0);
    CHECK(done.site == SiteStatus::SiteFailed);
}

TEST_CASE("a greeting of 4xx or 5xx leads to the next host")
{
    for (const char* greeting : {"S: 421 busy\n", "S: 450 busy\n", "S: 554 no\n"}) {
        Client client;
        client.names.add_mx("b.example", 10, "one.example");
        client.names.add_mx("b.example", 20, "two.example");
        client.names.add_address("one.example", "127.0.0.1");
        client.names.add_address("two.example", "127.0.0.2");
        Peer one(client.loop, {greeting});
        Peer two(client.loop, {hello + accept_one}, "127.0.0.2", one.port());
        const auto done = client.deliver(cat("b.example:", one.port()), {"a@b.example"});
        CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
        CHECK(done.site == SiteStatus::Ok);
    }
}

TEST_CASE("hosts that all greet with 5xx defer the message, and the site has failed")
{
    Client client;
    Peer peer(client.loop, {"S: 554 5.3.2 go away\n", "S: 554 5.3.2 go away\n"});
    auto done = client.deliver(bracketed(peer), {"a@b.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Deferred);
    CHECK(done.outcomes.at(0).dsn == "4.3.2");
    CHECK(done.outcomes.at(0).text == "host 127.0.0.1[127.0.0.1] refused to talk to me: 554 5.3.2 go away");
    CHECK(done.site == SiteStatus::SiteFailed);
    client.settings.skip_5xx_greeting = false;
    done = client.deliver(bracketed(peer), {"a@b.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Failed);
}

TEST_CASE("5xx to MAIL, RCPT, DATA or the content is final and not tried elsewhere")
{
    const std::string scripts[] = {
        hello + "C: MAIL\nC: RCPT\nC: DATA\nS: 550 no\nS: 503 no\nS: 503 no\n",
        hello + "C: MAIL\nC: RCPT\nC: DATA\nS: 250 Ok\nS: 550 no\nS: 554 no\n",
        hello + "C: MAIL\nC: RCPT\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 554 no\n",
        hello + "C: MAIL\nC: RCPT\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 354 go\nD\nS: 554 no\n",
    };
    for (const std::string& script : scripts) {
        Client client;
        client.names.add_mx("b.example", 10, "one.example");
        client.names.add_mx("b.example", 20, "two.example");
        client.names.add_address("one.example", "127.0.0.1");
        client.names.add_address("two.example", "127.0.0.2");
        Peer one(client.loop, {script});
        Peer two(client.loop, {hello + accept_one}, "127.0.0.2", one.port());
        const auto done = client.deliver(cat("b.example:", one.port()), {"a@b.example"});
        CHECK(done.outcomes.at(0).status == DeliveryStatus::Failed);
        CHECK(two.connections == 0);
        CHECK(done.site == SiteStatus::Ok);
        CHECK(one.problem.empty());
    }
}

TEST_CASE("4xx to a recipient is tried with another host")
{
    Client client;
    client.names.add_mx("b.example", 10, "one.example");
    client.names.add_mx("b.example", 20, "two.example");
    client.names.add_address("one.example", "127.0.0.1");
    client.names.add_address("two.example", "127.0.0.2");
    Peer one(client.loop, {hello + "C: MAIL\nC: RCPT\nC: DATA\nS: 250 Ok\nS: 451 later\nS: 554 no\n"});
    Peer two(client.loop, {hello + accept_one}, "127.0.0.2", one.port());
    const auto done = client.deliver(cat("b.example:", one.port()), {"a@b.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
}

TEST_CASE("552 to a recipient means 452: too many recipients, try again")
{
    Client client;
    Peer peer(client.loop, {hello + two_rcpts + "S: 250 Ok\nS: 250 Ok\nS: 552 5.5.3 too many\nS: 354 go\nD\nS: 250 Ok\n"});
    const auto done = client.deliver(bracketed(peer), {"a@b.example", "c@b.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
    CHECK(done.outcomes.at(1).status == DeliveryStatus::Deferred);
    CHECK(done.outcomes.at(1).dsn == "4.5.3");
}

TEST_CASE("421 at any command ends the session and counts against the site")
{
    const std::string scripts[] = {
        plain_hello + "C: MAIL\nS: 421 4.3.2 down\nHANG",
        plain_hello + "C: MAIL\nS: 250 Ok\nC: RCPT\nS: 421 4.3.2 down\nHANG",
        plain_hello + "C: MAIL\nS: 250 Ok\nC: RCPT\nS: 250 Ok\nC: DATA\nS: 421 4.3.2 down\nHANG",
        plain_hello + "C: MAIL\nS: 250 Ok\nC: RCPT\nS: 250 Ok\nC: DATA\nS: 354 go\nD\nS: 421 4.3.2 down\nHANG",
        "S: 220 mx ESMTP\nC: EHLO\nS: 421 4.3.2 down\nHANG",
    };
    for (const std::string& script : scripts) {
        Client client;
        Peer peer(client.loop, {script});
        const auto done = client.deliver(bracketed(peer), {"a@b.example"});
        CHECK(done.outcomes.at(0).status == DeliveryStatus::Deferred);
        CHECK(done.outcomes.at(0).dsn == "4.3.2");
        CHECK(done.site == SiteStatus::SiteFailed);
        CHECK(client.cache->size() == 0);
        CHECK(peer.problem.empty());
    }
}

TEST_CASE("at most smtp_mx_session_limit sessions and smtp_mx_address_limit addresses are tried")
{
    Client client;
    std::vector<std::unique_ptr<Peer>> peers;
    uint16_t port = 0;
    for (int i = 1; i <= 6; ++i) {
        const std::string address = cat("127.0.0.", i);
        const std::string busy = hello + "C: MAIL\nC: RCPT\nC: DATA\nS: 450 later\nS: 503 no\nS: 503 no\n";
        peers.push_back(std::make_unique<Peer>(client.loop, std::vector<std::string>{busy, "S: 421 busy\n"}, address, port));
        port = peers.back()->port();
        client.names.add_mx("b.example", static_cast<uint16_t>(i), cat("mx", i, ".example"));
        client.names.add_address(cat("mx", i, ".example"), address);
    }
    const auto count = [&] {
        size_t sum = 0;
        for (const auto& peer : peers)
            sum += peer->connections;
        return sum;
    };
    client.settings.keep_connections = false;
    client.deliver(cat("b.example:", port), {"a@b.example"});
    CHECK(count() == 2);
    client.deliver(cat("b.example:", port), {"a@b.example"}); // two refuse to talk, two sessions, one address is left
    CHECK(count() == 6);
    client.deliver(cat("b.example:", port), {"a@b.example"});
    CHECK(peers[5]->connections == 0);
}

TEST_CASE("a host that cannot be connected to makes way for the next, and all together defer")
{
    Client client;
    client.names.add_mx("b.example", 10, "one.example");
    client.names.add_mx("b.example", 20, "two.example");
    client.names.add_address("one.example", "127.0.0.1");
    client.names.add_address("two.example", "127.0.0.2");
    uint16_t port;
    {
        Peer peer(client.loop, {hello + accept_one}, "127.0.0.2");
        port = peer.port();
        auto done = client.deliver(cat("b.example:", port), {"a@b.example"});
        CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
        client.cache->close();
    }
    const auto done = client.deliver(cat("b.example:", port), {"a@b.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Deferred);
    CHECK(done.outcomes.at(0).dsn == "4.4.1");
    CHECK(done.outcomes.at(0).relay == "none");
    CHECK(done.outcomes.at(0).text == cat("connect to two.example[127.0.0.2]:", port, ": Connection refused"));
    CHECK(done.site == SiteStatus::SiteFailed);
}

TEST_CASE("a domain that cannot be found fails or defers by the kind of error")
{
    Client client;
    auto done = client.deliver("nowhere.example", {"a@nowhere.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Failed);
    CHECK(done.outcomes.at(0).dsn == "5.4.4");
    client.names.fail_mx("b.example", net::Answer::State::Temporary);
    done = client.deliver("b.example", {"a@b.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Deferred);
    CHECK(done.outcomes.at(0).dsn == "4.4.3");
    client.names.add_mx("null.example", 0, "");
    done = client.deliver("null.example", {"a@null.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Failed);
    CHECK(done.outcomes.at(0).dsn == "5.1.0");
}

TEST_CASE("smtp_fallback_relay takes what the destination does not")
{
    Client client;
    Peer peer(client.loop, {hello + accept_one});
    client.settings.fallback_relays = {bracketed(peer)};
    const auto done = client.deliver("nowhere.example", {"a@nowhere.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
}

TEST_CASE("a host that knows no EHLO is spoken to with HELO")
{
    Client client;
    Peer peer(client.loop, {"S: 220 mx\nC: EHLO\nS: 502 what\nC: HELO client.example\nS: 250 mx\n"
                            "C: MAIL FROM:<sender@example.com>\nS: 250 Ok\nC: RCPT\nS: 250 Ok\nC: DATA\nS: 354 go\nD\nS: 250 Ok\n"});
    const auto done = client.deliver(bracketed(peer), {"a@b.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
    CHECK(peer.lines.at(2) == "MAIL FROM:<sender@example.com>");
    CHECK(peer.problem.empty());
}

TEST_CASE("a message above the host's SIZE is refused with 5.3.4 without being sent")
{
    Client client;
    Peer peer(client.loop, {"S: 220 mx ESMTP\nC: EHLO\nS: 250-mx\nS: 250 SIZE 20\nHANG"});
    const auto done = client.deliver(bracketed(peer), {"a@b.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Failed);
    CHECK(done.outcomes.at(0).dsn == "5.3.4");
    CHECK(peer.lines.size() == 1);
}

TEST_CASE("QUIT is best effort: whatever becomes of it, the mail is delivered at 250")
{
    for (const char* end : {"CLOSE", "C: QUIT\nS: 421 what\nCLOSE", "C: QUIT\nHANG"}) {
        Client client;
        client.settings.keep_connections = false;
        client.settings.skip_quit_response = false;
        client.settings.quit_timeout = Duration::milliseconds(100);
        Peer peer(client.loop, {hello + accept_one + end});
        const auto done = client.deliver(bracketed(peer), {"a@b.example"});
        CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
        CHECK(done.site == SiteStatus::Ok);
    }
}

TEST_CASE("LMTP gives one reply for each recipient after the dot")
{
    Client client;
    client.settings.lmtp = true;
    Peer peer(client.loop, {"S: 220 mx LMTP\nC: LHLO client.example\nS: 250-mx\nS: 250 PIPELINING\nC: MAIL\nC: RCPT\nC: RCPT\nC: RCPT\nC: DATA\n"
                            "S: 250 Ok\nS: 250 Ok\nS: 550 5.1.1 nobody\nS: 250 Ok\nS: 354 go\nD\nS: 250 2.0.0 stored\nS: 452 4.2.2 full\n"});
    const auto done = client.deliver(bracketed(peer), {"a@b.example", "c@b.example", "d@b.example"});
    REQUIRE(done.outcomes.size() == 3);
    CHECK(done.outcomes[0].status == DeliveryStatus::Delivered);
    CHECK(done.outcomes[0].action == queue::DeliveryAction::Delivered);
    CHECK(done.outcomes[1].status == DeliveryStatus::Failed);
    CHECK(done.outcomes[2].status == DeliveryStatus::Deferred);
    CHECK(done.outcomes[2].dsn == "4.2.2");
}

TEST_CASE("an LMTP host that dies between its replies leaves the delivered ones delivered")
{
    Client client;
    client.settings.lmtp = true;
    Peer peer(client.loop, {"S: 220 mx LMTP\nC: LHLO\nS: 250-mx\nS: 250 PIPELINING\n" + two_rcpts +
                            "S: 250 Ok\nS: 250 Ok\nS: 250 Ok\nS: 354 go\nD\nS: 250 stored\nCLOSE"});
    const auto done = client.deliver(bracketed(peer), {"a@b.example", "c@b.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
    CHECK(done.outcomes.at(1).status == DeliveryStatus::Deferred);
}

TEST_CASE("each phase has its own time-out, named in the reason")
{
    struct Case {
        std::string script;
        Duration smtp_client::Settings::*timeout;
        std::string_view doing;
    };
    using smtp_client::Settings;
    const Case cases[] = {
        {"HANG", &Settings::helo_timeout, "receiving the initial server greeting"},
        {"S: 220 mx ESMTP\nC: EHLO\nHANG", &Settings::helo_timeout, "performing the EHLO handshake"},
        {plain_hello + "C: MAIL\nHANG", &Settings::mail_timeout, "sending MAIL FROM"},
        {plain_hello + "C: MAIL\nS: 250 Ok\nC: RCPT\nHANG", &Settings::rcpt_timeout, "sending RCPT TO"},
        {plain_hello + "C: MAIL\nS: 250 Ok\nC: RCPT\nS: 250 Ok\nC: DATA\nHANG", &Settings::data_init_timeout, "sending DATA command"},
        {plain_hello + "C: MAIL\nS: 250 Ok\nC: RCPT\nS: 250 Ok\nC: DATA\nS: 354 go\nHANG", &Settings::data_done_timeout,
         "sending end of data -- message may be sent more than once"},
    };
    for (const Case& one : cases) {
        Client client;
        client.settings.*one.timeout = Duration::milliseconds(30);
        Peer peer(client.loop, {one.script});
        const auto done = client.deliver(bracketed(peer), {"a@b.example"});
        CHECK(done.outcomes.at(0).status == DeliveryStatus::Deferred);
        CHECK(done.outcomes.at(0).text == cat("conversation with 127.0.0.1[127.0.0.1] timed out while ", one.doing));
        CHECK(done.site == SiteStatus::SiteFailed);
    }
}

TEST_CASE("a host that takes no content times out after smtp_data_xfer_timeout")
{
    Client client;
    client.settings.data_xfer_timeout = Duration::milliseconds(50);
    Peer peer(client.loop, {hello + "C: MAIL\nC: RCPT\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 354 go\nHANG"});
    std::string content = "Subject: x\r\n\r\n";
    while (content.size() < 20000000)
        content += "0123456789012345678901234567890123456789\r\n";
    const auto done = client.deliver(client.request(bracketed(peer), {"a@b.example"}, content));
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Deferred);
    CHECK(done.outcomes.at(0).text == "conversation with 127.0.0.1[127.0.0.1] timed out while sending message body");
}

TEST_CASE("with smtp_per_request_deadline a host that takes content too slowly times out, however it trickles")
{
    Client client;
    client.settings.per_request_deadline = true;
    client.settings.min_data_rate = 1000000000;
    client.settings.data_xfer_timeout = Duration::milliseconds(200);
    Peer peer(client.loop, {hello + "C: MAIL\nC: RCPT\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 354 go\nSLOWLY"});
    const std::string content = "Subject: x\r\n\r\n" + std::string(20000000, 'x') + "\r\n";
    const auto done = client.deliver(client.request(bracketed(peer), {"a@b.example"}, content));
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Deferred);
    CHECK(done.outcomes.at(0).text == "conversation with 127.0.0.1[127.0.0.1] timed out while sending message body");
}

TEST_CASE("a reply without end, or that is no reply, is given up, and the mail waits")
{
    std::string endless = "S: 220 mx ESMTP\nC: EHLO\n";
    for (int i = 0; i < 20000; ++i)
        endless += "S: 250-" + std::string(80, 'x') + "\n";
    for (const std::string& script : {endless, std::string("S: 220 mx ESMTP\nC: EHLO\nS: 25\nHANG"),
                                      std::string("S: what is this\nHANG")}) {
        Client client;
        Peer peer(client.loop, {script});
        const auto done = client.deliver(bracketed(peer), {"a@b.example"});
        REQUIRE(done.outcomes.size() == 1);
        CHECK(done.outcomes[0].status == DeliveryStatus::Deferred);
        CHECK(done.outcomes[0].text.size() < 2000);
        CHECK(done.site == queue::SiteStatus::SiteFailed);
    }
}
