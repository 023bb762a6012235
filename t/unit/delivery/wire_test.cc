// What the client says and sends: parameters, content, connections used again.
#include "smtp/transaction.h"
#include "t/support/catch.h"
#include "t/unit/delivery/peer.h"

#include <cstdlib>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::test;
using queue::DeliveryStatus;
using smtp_client::Features;
using smtp_client::mail_command;

namespace {

const std::string hello = "S: 220 mx ESMTP\nC: EHLO client.example\nS: 250-mx\nS: 250-PIPELINING\nS: 250 8BITMIME\n";
const std::string transaction = "C: MAIL FROM:<sender@example.com>\nC: RCPT TO:\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 354 go\nD\nS: 250 Ok\n";

} // namespace

TEST_CASE("a leading dot is doubled on the wire, in small and in large messages")
{
    for (size_t lines : {3u, 20000u}) {
        Client client;
        Peer peer(client.loop, {hello + transaction});
        std::string content = "Subject: x\r\n\r\n";
        for (size_t i = 0; i < lines; ++i)
            content += i % 3 == 0 ? ".dot\r\n" : i % 3 == 1 ? ".\r\n" : "plain\r\n";
        const auto done = client.deliver(client.request(bracketed(peer), {"a@b.example"}, content));
        CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
        REQUIRE(peer.contents.size() == 1);
        CHECK(peer.contents[0] == content);
    }
}

TEST_CASE("a large message without dots goes as it is")
{
    Client client;
    Peer peer(client.loop, {hello + transaction});
    std::string content = "Subject: x\r\n\r\n";
    while (content.size() < 3000000)
        content += "some text in a line of its own\r\n";
    const auto done = client.deliver(client.request(bracketed(peer), {"a@b.example"}, content));
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
    REQUIRE(peer.contents.size() == 1);
    CHECK(peer.contents[0] == content);
}

TEST_CASE("a line above smtp_line_length_limit is folded")
{
    Client client;
    Peer peer(client.loop, {hello + transaction});
    const auto done = client.deliver(
        client.request(bracketed(peer), {"a@b.example"}, "Subject: x\r\n\r\n" + std::string(1500, 'x') + "\r\n"));
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
    CHECK(peer.contents.at(0) == "Subject: x\r\n\r\n" + std::string(998, 'x') + "\r\n " + std::string(502, 'x') + "\r\n");
}

TEST_CASE("a message file that is shorter than it says is never ended with a dot")
{
    Client client;
    Peer peer(client.loop, {hello + transaction});
    auto request = client.request(bracketed(peer), {"a@b.example"});
    request.content.size += 10;
    const auto done = client.deliver(std::move(request));
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Deferred);
    CHECK(done.outcomes.at(0).dsn == "4.3.0");
    client.loop.run_once(Duration::milliseconds(20));
    CHECK(peer.contents.empty());
}

TEST_CASE("a connection is used again for the same next hop without RSET after a delivery")
{
    Client client;
    Peer peer(client.loop, {hello + transaction + transaction + transaction});
    for (int i = 0; i < 3; ++i)
        CHECK(client.deliver(bracketed(peer), {"a@b.example"}).outcomes.at(0).status == DeliveryStatus::Delivered);
    CHECK(peer.connections == 1);
    CHECK(peer.contents.size() == 3);
    CHECK(peer.problem.empty());
}

TEST_CASE("after a refused transaction RSET goes before the next one")
{
    Client client;
    Peer peer(client.loop, {hello + "C: MAIL\nC: RCPT\nC: DATA\nS: 250 Ok\nS: 550 no\nS: 554 no\n" +
                            "C: RSET\nC: MAIL\nC: RCPT\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 250 Ok\nS: 354 go\nD\nS: 250 Ok\n"});
    CHECK(client.deliver(bracketed(peer), {"a@b.example"}).outcomes.at(0).status == DeliveryStatus::Failed);
    CHECK(client.deliver(bracketed(peer), {"a@b.example"}).outcomes.at(0).status == DeliveryStatus::Delivered);
    CHECK(peer.connections == 1);
    CHECK(peer.problem.empty());
}

TEST_CASE("an address of several words is never sent; the message goes to the others")
{
    Client client;
    Peer peer(client.loop, {hello + transaction});
    const auto done = client.deliver(bracketed(peer), {"a@b.example out@c.example", "a> NOTIFY=NEVER <x@b.example",
                                                       "\"a b\"@b.example"});
    REQUIRE(done.outcomes.size() == 3);
    CHECK(done.outcomes[0].dsn == "5.1.3");
    CHECK(done.outcomes[0].status == DeliveryStatus::Failed);
    CHECK(done.outcomes[1].dsn == "5.1.3");
    CHECK(done.outcomes[2].status == DeliveryStatus::Delivered);
    CHECK(peer.problem.empty());
}

TEST_CASE("a kept connection that its host has closed is no failure")
{
    for (const char* end : {"CLOSE", "S: 421 4.4.2 idle too long\nCLOSE"}) {
        Client client;
        Peer peer(client.loop, {hello + transaction + end, hello + transaction});
        CHECK(client.deliver(bracketed(peer), {"a@b.example"}).outcomes.at(0).status == DeliveryStatus::Delivered);
        client.loop.run_once(Duration::milliseconds(20));
        const auto done = client.deliver(bracketed(peer), {"a@b.example"});
        CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
        CHECK(done.site == queue::SiteStatus::Ok);
        CHECK(peer.connections == 2);
    }
}

TEST_CASE("a connection is not used for another next hop, nor beyond its limits")
{
    Client client;
    Peer peer(client.loop, {hello + transaction, hello + transaction, hello + transaction});
    client.names.fail_mx("b.example", net::Answer::State::NoData);
    client.names.add_address("b.example", "127.0.0.1");
    client.deliver(bracketed(peer), {"a@b.example"});
    client.deliver(cat("b.example:", peer.port()), {"a@b.example"});
    CHECK(peer.connections == 2);
    client.cache->close();
    Client limited;
    limited.settings.reuse_count = 1;
    Peer other(limited.loop, {hello + transaction, hello + transaction});
    limited.deliver(bracketed(other), {"a@b.example"});
    limited.deliver(bracketed(other), {"a@b.example"});
    CHECK(other.connections == 2);
}

TEST_CASE("connections are kept for listed destinations alone when smtp_connection_cache_on_demand = no")
{
    Client client;
    client.settings.keep_connections = false;
    Peer peer(client.loop, {hello + transaction, hello + transaction});
    client.deliver(bracketed(peer), {"a@b.example"});
    CHECK(client.cache->size() == 0);
    client.settings.keep_destinations = {bracketed(peer)};
    client.deliver(bracketed(peer), {"a@b.example"});
    CHECK(client.cache->size() == 1);
}

TEST_CASE("an idle connection says QUIT after smtp_connection_cache_time_limit")
{
    Client client;
    client.settings.keep_time = Duration::milliseconds(50);
    Peer peer(client.loop, {hello + transaction + "A: QUIT"});
    client.deliver(bracketed(peer), {"a@b.example"});
    CHECK(client.cache->size() == 1);
    for (int i = 0; i < 20 && client.cache->size() > 0; ++i)
        client.loop.run_once(Duration::milliseconds(20));
    client.loop.run_once(Duration::milliseconds(20));
    CHECK(client.cache->size() == 0);
    CHECK(peer.lines.back() == "QUIT");
}

TEST_CASE("many recipients go in batches whose replies are read in between")
{
    Client client;
    std::string script = hello + "C: MAIL\n";
    std::vector<std::string> recipients;
    for (int i = 0; i < 2000; ++i)
        recipients.push_back(cat("user", i, "@a-domain-of-some-length.example"));
    // The peer answers each line as it comes, as a host with a small buffer does.
    script += "S: 250 Ok\n";
    for (int i = 0; i < 2000; ++i)
        script += "C: RCPT\nS: 250 2.1.5 Ok\n";
    script += "C: DATA\nS: 354 go\nD\nS: 250 Ok\n";
    Peer peer(client.loop, {script});
    const auto done = client.deliver(bracketed(peer), recipients);
    REQUIRE(done.outcomes.size() == 2000);
    for (const auto& outcome : done.outcomes)
        CHECK(outcome.status == DeliveryStatus::Delivered);
}

TEST_CASE("DSN parameters are passed on when offered, and only then")
{
    Client client;
    auto request = client.request("x", {"a@b.example"});
    request.envelope.envid = "QQ 1";
    request.envelope.ret = mail::Return::Headers;
    mail::Recipient recipient = request.envelope.recipients[0];
    recipient.notify = mail::NotifySuccess | mail::NotifyFailure;
    recipient.orcpt = "rfc822;x+y@b.example";
    Features features;
    CHECK(mail_command(request, features) == "MAIL FROM:<sender@example.com>\r\n");
    CHECK(rcpt_command(recipient, features) == "RCPT TO:<a@b.example>\r\n");
    features.dsn = true;
    CHECK(mail_command(request, features) == "MAIL FROM:<sender@example.com> RET=HDRS ENVID=QQ+201\r\n");
    CHECK(rcpt_command(recipient, features) == "RCPT TO:<a@b.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x+2By@b.example\r\n");
}

TEST_CASE("8BITMIME and SMTPUTF8 are said when the message needs them and the host knows them")
{
    Client client;
    auto request = client.request("x", {"a@b.example"}, "Subject: x\r\n\r\n\xc3\xa4\r\n");
    Features features;
    CHECK(mail_command(request, features) == "MAIL FROM:<sender@example.com>\r\n");
    features.eight_bit = true;
    CHECK(mail_command(request, features) == "MAIL FROM:<sender@example.com> BODY=8BITMIME\r\n");
    request.envelope.smtputf8 = true;
    features.smtputf8 = true;
    CHECK(mail_command(request, features) == "MAIL FROM:<sender@example.com> BODY=8BITMIME SMTPUTF8\r\n");
    request.envelope.smtputf8 = false;
    request.envelope.recipients[0].address = "\xc3\xa4@b.example";
    CHECK(mail_command(request, features) == "MAIL FROM:<sender@example.com> BODY=8BITMIME SMTPUTF8\r\n");
}

TEST_CASE("what asks for TLS all the way goes in clear text nowhere but within this host, or as a notice")
{
    Client client;
    auto request = client.request("x", {"a@b.example"});
    const smtp_client::MailHost elsewhere("mx", net::SocketAddress(*net::IpAddress::parse("192.0.2.1"), 25), 0);
    const smtp_client::MailHost here("localhost", net::SocketAddress(*net::IpAddress::parse("::ffff:127.0.0.1"), 25), 0);
    CHECK_FALSE(smtp_client::needs_tls(request, elsewhere));
    request.envelope.requiretls = true;
    CHECK(smtp_client::needs_tls(request, elsewhere));
    CHECK_FALSE(smtp_client::needs_tls(request, here));
    request.envelope.sender.clear(); // RFC 8689 section 5
    CHECK_FALSE(smtp_client::needs_tls(request, elsewhere));
}

TEST_CASE("a UTF-8 domain goes as A-labels to a host without SMTPUTF8, a UTF-8 local part does not go: 5.6.7")
{
    Client client;
    auto request = client.request("x", {"a@b\xc3\xbc" "cher.example"});
    CHECK_FALSE(smtp_client::needs_smtputf8(request));
    CHECK(rcpt_command(request.envelope.recipients[0], Features()) == "RCPT TO:<a@xn--bcher-kva.example>\r\n");
    Peer peer(client.loop, {hello + "HANG"});
    const auto done = client.deliver(bracketed(peer), {"\xc3\xa4@b.example"});
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Failed);
    CHECK(done.outcomes.at(0).dsn == "5.6.7");
}

TEST_CASE("XFORWARD tells where the message came from, before MAIL, to a host that takes it")
{
    Client client;
    client.settings.send_xforward = true;
    Peer peer(client.loop, {"S: 220 mx ESMTP\nC: EHLO\nS: 250-mx\nS: 250-PIPELINING\nS: 250 XFORWARD NAME ADDR HELO SOURCE\n"
                            "C: XFORWARD\nS: 250 Ok\nC: MAIL\nC: RCPT\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 354 go\nD\nS: 250 Ok\n"});
    auto request = client.request(bracketed(peer), {"a@b.example"});
    request.envelope.client_name = "spike.example";
    request.envelope.client_address = "2001:db8::1";
    request.envelope.rewrite_context = "remote";
    const auto done = client.deliver(std::move(request));
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
    CHECK(peer.lines.at(1) == "XFORWARD NAME=spike.example ADDR=IPV6:2001:db8::1 HELO=[UNAVAILABLE] SOURCE=REMOTE");
}

TEST_CASE("EHLO keywords may be discarded by configuration")
{
    const auto reply = smtp::Reply(250, "", "mx").add("PIPELINING").add("size 1000").add("8bitmime").add("DSN");
    const Features all = Features::from_ehlo(reply, {});
    CHECK(all.pipelining);
    CHECK(all.size_limit == 1000);
    CHECK(all.eight_bit);
    CHECK(all.dsn);
    const Features some = Features::from_ehlo(reply, {"dsn", "pipelining"});
    CHECK_FALSE(some.pipelining);
    CHECK_FALSE(some.dsn);
    CHECK(some.eight_bit);
}

TEST_CASE("the null sender is sent as <>")
{
    Client client;
    auto request = client.request("x", {"a@b.example"});
    request.envelope.sender.clear();
    CHECK(mail_command(request, Features()) == "MAIL FROM:<>\r\n");
}

TEST_CASE("smtp_bind_address is used, and one that is not ours is passed over unless it is enforced")
{
    Client client;
    client.settings.keep_connections = false;
    Peer peer(client.loop, {hello + transaction, hello + transaction});
    client.settings.bind_v4 = net::IpAddress::parse("127.0.0.9");
    CHECK(client.deliver(bracketed(peer), {"a@b.example"}).outcomes.at(0).status == DeliveryStatus::Delivered);
    client.settings.bind_v4 = net::IpAddress::parse("192.0.2.1");
    CHECK(client.deliver(bracketed(peer), {"a@b.example"}).outcomes.at(0).status == DeliveryStatus::Delivered);
    client.settings.bind_enforced = true;
    CHECK(client.deliver(bracketed(peer), {"a@b.example"}).outcomes.at(0).status == DeliveryStatus::Deferred);
}

TEST_CASE("the last attempt tries every host, whatever the limits")
{
    Client client;
    std::vector<std::unique_ptr<Peer>> peers;
    uint16_t port = 0;
    for (int i = 1; i <= 4; ++i) {
        const std::string script = i < 4 ? hello + "C: MAIL\nC: RCPT\nC: DATA\nS: 450 later\nS: 503 no\nS: 503 no\n" : hello + transaction;
        peers.push_back(std::make_unique<Peer>(client.loop, std::vector<std::string>{script}, cat("127.0.0.", i), port));
        port = peers.back()->port();
        client.names.add_mx("b.example", static_cast<uint16_t>(i), cat("mx", i, ".example"));
        client.names.add_address(cat("mx", i, ".example"), cat("127.0.0.", i));
    }
    auto request = client.request(cat("b.example:", port), {"a@b.example"});
    request.expired_soon = true;
    CHECK(client.deliver(std::move(request)).outcomes.at(0).status == DeliveryStatus::Delivered);
}

TEST_CASE("LMTP goes over a UNIX socket, named in relay=")
{
    Client client;
    client.settings.lmtp = true;
    char folder[] = "/tmp/lmtp-test-XXXXXX";
    REQUIRE(::mkdtemp(folder));
    const std::string path = std::string(folder) + "/lmtp";
    {
        Peer peer(client.loop, {"S: 220 mx LMTP\nC: LHLO\nS: 250-mx\nS: 250 PIPELINING\n" + transaction}, path);
        const auto done = client.deliver("unix:" + path, {"a@b.example"});
        CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
        CHECK(done.outcomes.at(0).relay == "client.example[" + path + "]");
    }
    ::unlink(path.c_str());
    ::rmdir(folder);
}
