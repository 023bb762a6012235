// What becomes of a message's content on its way to a host: damaged, 8-bit, long lines.
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "t/support/catch.h"
#include "t/unit/delivery/peer.h"

#include <fcntl.h>

using namespace posthouse;
using namespace posthouse::test;
using queue::DeliveryStatus;

namespace {

const std::string hello = "S: 220 mx ESMTP\nC: EHLO client.example\nS: 250-mx\nS: 250-PIPELINING\nS: 250 8BITMIME\n";
const std::string hello_seven = "S: 220 mx ESMTP\nC: EHLO client.example\nS: 250-mx\nS: 250 PIPELINING\n";
const std::string transaction = "C: MAIL FROM:<sender@example.com>\nC: RCPT TO:\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 354 go\nD\nS: 250 Ok\n";
const std::string two_recipients = "C: MAIL\nC: RCPT\nC: RCPT\nC: DATA\nS: 250 Ok\nS: 250 Ok\nS: 250 Ok\nS: 354 go\nD\nS: 250 Ok\n";

const std::string eight_bit_message = "Subject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\ncaf\xc3\xa9\r\n";

} // namespace

TEST_CASE("content that was damaged in the queue never gets its final dot, small or large, and is asked of no other host")
{
    for (const size_t size : {size_t(30), size_t(3000000)}) {
        for (const bool has_dots : {false, true}) {
            Client client;
            Peer first(client.loop, {hello + two_recipients});
            Peer second(client.loop, {hello + two_recipients}, "127.0.0.2", first.port());
            client.names.add_mx("b.example", 10, "one.example");
            client.names.add_mx("b.example", 20, "two.example");
            client.names.add_address("one.example", "127.0.0.1");
            client.names.add_address("two.example", "127.0.0.2");
            std::string content = has_dots ? "Subject: x\r\n\r\n.\r\n" : "Subject: x\r\n\r\n";
            while (content.size() < size)
                content += "some text\r\n";
            auto request = client.request(cat("b.example:", first.port()), {"a@b.example", "c@b.example"}, content);
            const UniqueFd file(::fcntl(request.file.get(), F_DUPFD_CLOEXEC, 0));
            REQUIRE(pwrite_all(file.get(), "S", request.content.offset + content.size() - 11));
            const auto done = client.deliver(std::move(request));
            client.loop.run_once(Duration::milliseconds(20));
            REQUIRE(done.outcomes.size() == 2);
            for (const auto& outcome : done.outcomes) {
                CHECK(outcome.status == DeliveryStatus::Deferred);
                CHECK(outcome.dsn == "4.3.0");
                CHECK(outcome.text == "damaged queue file: the content does not agree with its checksum");
            }
            CHECK(done.site == queue::SiteStatus::Ok);
            CHECK(first.contents.empty());
            CHECK(second.connections == 0);
        }
    }
}

TEST_CASE("a host without 8BITMIME gets 8-bit parts as quoted-printable, one with it as they are")
{
    Client client;
    client.settings.keep_connections = false;
    Peer peer(client.loop, {hello_seven + transaction, hello + transaction});
    for (int i = 0; i < 2; ++i)
        CHECK(client.deliver(client.request(bracketed(peer), {"a@b.example"}, eight_bit_message)).outcomes.at(0).status ==
              DeliveryStatus::Delivered);
    CHECK(peer.contents.at(0) == "Subject: x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9\r\n");
    CHECK(peer.lines.at(1) == "MAIL FROM:<sender@example.com>");
    CHECK(peer.contents.at(1) == eight_bit_message);
    CHECK(peer.problem.empty());
}

TEST_CASE("with disable_mime_output_conversion 8-bit content goes as it is to any host")
{
    Client client;
    client.settings.convert_8bit = false;
    Peer peer(client.loop, {hello_seven + transaction});
    client.deliver(client.request(bracketed(peer), {"a@b.example"}, eight_bit_message));
    CHECK(peer.contents.at(0) == eight_bit_message);
}

TEST_CASE("dots that begin a line of converted content are doubled, and a large message is converted in pieces")
{
    Client client;
    Peer peer(client.loop, {hello_seven + transaction});
    // The line break that quoted-printable makes comes right before the dot.
    const std::string line = std::string(75, 'x') + ".\xc3\xa9\r\n";
    const std::string sent = std::string(75, 'x') + "=\r\n.=C3=A9\r\n";
    std::string content = "Content-Transfer-Encoding: 8bit\r\n\r\n";
    std::string expected = "Content-Transfer-Encoding: quoted-printable\r\n\r\n";
    for (int i = 0; i < 5000; ++i) {
        content += line;
        expected += sent;
    }
    const auto done = client.deliver(client.request(bracketed(peer), {"a@b.example"}, content));
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
    CHECK((peer.contents.at(0) == expected));
}

TEST_CASE("long lines of parts that are not converted are folded, those of converted ones are not needed to be")
{
    Client client;
    Peer peer(client.loop, {hello_seven + transaction});
    const std::string part = "Content-Type: text/plain\r\n";
    const auto done = client.deliver(client.request(
        bracketed(peer), {"a@b.example"},
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + part + "\r\n" + std::string(1000, 'x') + "\r\n--b\r\n" + part +
            "Content-Transfer-Encoding: 8bit\r\n\r\n" + std::string(80, 'y') + "\xc3\xa9\r\n--b--\r\n"));
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Delivered);
    CHECK(peer.contents.at(0) == "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + part + "\r\n" + std::string(998, 'x') +
                                     "\r\n xx\r\n--b\r\n" + part + "Content-Transfer-Encoding: quoted-printable\r\n\r\n" +
                                     std::string(75, 'y') + "=\r\nyyyyy=C3=A9\r\n--b--\r\n");
}

TEST_CASE("mail that needs SMTPUTF8 is never converted: it fails with 5.6.7 when no host of the destination offers it")
{
    Client client;
    Peer first(client.loop, {hello_seven + "C: QUIT\nS: 221 bye\n"});
    Peer second(client.loop, {hello_seven + "C: QUIT\nS: 221 bye\n"}, "127.0.0.2", first.port());
    client.settings.session_limit = 5;
    for (int i = 1; i <= 2; ++i) {
        client.names.add_mx("b.example", static_cast<uint16_t>(i), cat("mx", i, ".example"));
        client.names.add_address(cat("mx", i, ".example"), cat("127.0.0.", i));
    }
    auto request = client.request(cat("b.example:", first.port()), {"a@b.example"}, "Subject: \xc3\xa9\r\n" + eight_bit_message);
    request.envelope.smtputf8 = true;
    const auto done = client.deliver(std::move(request));
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Failed);
    CHECK(done.outcomes.at(0).dsn == "5.6.7");
    CHECK(done.outcomes.at(0).text.find("SMTPUTF8 is required") == 0);
    CHECK(first.connections == 1);
    CHECK(second.connections == 1);
    CHECK(first.contents.empty());
}
