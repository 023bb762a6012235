// AUTH in a session, with an authentication service that is a script.
#include "smtpd/received.h"
#include "smtpd/sasl_service.h"
#include "smtpd/sender_owners.h"
#include "t/support/catch.h"
#include "t/unit/sasl/auth_peer.h"
#include "t/unit/smtpd/session_fixture.h"

using namespace posthouse;
using namespace posthouse::smtpd;
using namespace posthouse::test;
using Connection = AuthPeer::Connection;

namespace {

constexpr const char* ehlo = "EHLO client.example\r\n";

// The number of the request in a line of the client.
std::string id_of(const std::string& line)
{
    const size_t tab = line.find('\t') + 1;
    return line.substr(tab, line.find('\t', tab) - tab);
}

// Answers each line in turn: "{}" stands for the number of the request.
AuthPeer::Handle answers(std::vector<std::string> lines)
{
    return [lines](Connection& peer) {
        peer.greet();
        for (std::string line : lines) {
            const std::string said = peer.line();
            if (said.empty())
                return;
            line.replace(line.find("{}"), 2, id_of(said));
            peer.send(line + "\n");
        }
        peer.line();
    };
}

struct AuthFixture {
    explicit AuthFixture(AuthPeer::Handle handle, const std::string& more = "")
        : peer({std::move(handle)}), at("smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = "
                                        + peer.path() + "\n" + more)
    {
    }
    AuthPeer peer;
    SmtpdFixture at;
};

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

} // namespace

TEST_CASE("what client and service say to each other is passed on word by word")
{
    for (const size_t piece : {SIZE_MAX, size_t(1)}) {
        AuthFixture with(answers({"CONT\t{}\tY2hhbGxlbmdl", "CONT\t{}\t", "OK\t{}\tuser=bob"}));
        const std::string output =
            with.at.talk({ehlo, "AUTH LOGIN Zmlyc3Q=\r\n", "c2Vjb25k\r\n", "\r\n", "QUIT\r\n"}, piece);
        CHECK(codes(output) == "220 250 334 334 235 221");
        CHECK(has(output, "334 Y2hhbGxlbmdl\r\n334 \r\n235 2.7.0 Authentication successful\r\n"));
        const auto said = with.peer.said();
        REQUIRE(said.size() >= 5);
        CHECK(has(said[2], "\tLOGIN\tservice=smtp\tnologin\trip=198.51.100.7\trport=4711\tresp=Zmlyc3Q="));
        CHECK(said[3] == "CONT\t1\tc2Vjb25k");
        CHECK(said[4] == "CONT\t1\t");
    }
}

TEST_CASE("a client that sends its responses ahead is understood")
{
    AuthFixture with(answers({"CONT\t{}\tVXNlcm5hbWU6", "CONT\t{}\tUGFzc3dvcmQ6", "OK\t{}\tuser=bob"}));
    CHECK(codes(with.at.talk({ehlo, "AUTH LOGIN\r\nYm9i\r\nc2VjcmV0\r\nMAIL FROM:<a@example.net>\r\n"})) == "220 250 334 334 235 250");
}

TEST_CASE("a service that cannot tell puts the client off, which is no error of the client")
{
    AuthFixture with(answers({"FAIL\t{}\tuser=bob\ttemp\treason=Database is away", "FAIL\t{}\tcode=temp_fail", "OK\t{}\tuser="}),
                     "smtpd_hard_error_limit = 1\n");
    const std::string output = with.at.talk({ehlo, "AUTH PLAIN QQ==\r\n", "AUTH PLAIN QQ==\r\n", "AUTH PLAIN QQ==\r\n", "NOOP\r\n"});
    CHECK(codes(output) == "220 250 454 454 454 250");
    CHECK(has(output, "454 4.7.0 Temporary authentication failure: Database is away\r\n"));
}

TEST_CASE("a failure counts towards smtpd_hard_error_limit")
{
    AuthFixture with(answers({"FAIL\t{}\tuser=bob", "FAIL\t{}\treason=Account is locked"}), "smtpd_hard_error_limit = 2\n");
    const std::string output = with.at.talk({ehlo, "AUTH PLAIN QQ==\r\n", "AUTH PLAIN QQ==\r\n", "NOOP\r\n"});
    CHECK(codes(output) == "220 250 535 535 421");
    CHECK(has(output, "535 5.7.8 Error: authentication failed: Account is locked\r\n"));
}

TEST_CASE("a client that aborts is out of the exchange, and the service knows")
{
    AuthFixture with([](Connection& peer) {
        peer.greet();
        peer.send("CONT\t" + id_of(peer.line()) + "\t\n");
        peer.line(); // CANCEL
        peer.send("OK\t" + id_of(peer.line()) + "\tuser=bob\n");
        peer.line();
    });
    CHECK(codes(with.at.talk({ehlo, "AUTH PLAIN\r\n", "*\r\n", "AUTH PLAIN QQ==\r\n"})) == "220 250 334 501 235");
    CHECK(with.peer.said()[3] == "CANCEL\t1");
}

TEST_CASE("challenges without end come to one")
{
    AuthFixture with(answers(std::vector<std::string>(100, "CONT\t{}\t")));
    std::vector<std::string> chunks = {ehlo, "AUTH PLAIN\r\n"};
    chunks.insert(chunks.end(), 50, "QQ==\r\n");
    chunks.push_back("NOOP\r\n");
    const std::string output = with.at.talk(chunks);
    CHECK(has(output, "535 5.7.8 Error: authentication failed: Too many challenges\r\n250 "));
}

TEST_CASE("a user may relay, and is named in the envelope and in Received:")
{
    AuthFixture with(answers({"OK\t{}\tuser=bob (x)@example.org"}), "smtpd_sasl_authenticated_header = yes\n");
    with.at.talk({ehlo, "AUTH PLAIN QQ==\r\n", "MAIL FROM:<bob@example.org> AUTH=boss+40example.org\r\n",
                  "RCPT TO:<far@elsewhere.example>\r\n", "DATA\r\n", "Subject: x\r\n\r\nx\r\n.\r\n"});
    REQUIRE(with.at.queue.stored.size() == 1);
    const StoredMessage& message = with.at.queue.stored.front();
    CHECK(message.envelope.sasl_method == "PLAIN");
    CHECK(message.envelope.sasl_username == "bob (x)@example.org");
    CHECK(message.envelope.sasl_sender == "boss@example.org");
    CHECK(has(message.content, "\t(Authenticated sender: bob ?x?@example.org)\r\n\tby mx.example.org"));
    CHECK(has(message.content, " with ESMTPA id "));
}

TEST_CASE("XCLIENT LOGIN is a login, too, and forgotten at the next")
{
    SmtpdFixture at("smtpd_authorized_xclient_hosts = 198.51.100.7\n");
    CHECK(codes(at.talk({ehlo, "XCLIENT LOGIN=bob\r\n", ehlo, "MAIL FROM:<a@example.net>\r\n", "RCPT TO:<far@elsewhere.example>\r\n",
                         "RSET\r\n", "XCLIENT LOGIN=[UNAVAILABLE]\r\n", ehlo, "MAIL FROM:<a@example.net>\r\n",
                         "RCPT TO:<far@elsewhere.example>\r\n"}))
          == "220 250 220 250 250 250 250 220 250 250 454");
}

TEST_CASE("security options are about the traits of mechanisms")
{
    const sasl::Mechanism plain("PLAIN", sasl::PlainText), scram("SCRAM-SHA-256", sasl::MutualAuth),
        anonymous("ANONYMOUS", sasl::Anonymous), hidden("DOVECOT-TOKEN", sasl::Private);
    const auto allow = [](const std::vector<std::string>& words, const sasl::Mechanism& mechanism) {
        return SecurityOptions::parse("x", words)->allow(mechanism);
    };
    CHECK(allow({}, anonymous));
    CHECK_FALSE(allow({}, hidden));
    CHECK_FALSE(allow({"noanonymous"}, anonymous));
    CHECK_FALSE(allow({"NoPlaintext"}, plain));
    CHECK(allow({"noplaintext", "noanonymous"}, scram));
    CHECK_FALSE(allow({"mutual_auth"}, plain));
    CHECK(allow({"mutual_auth"}, scram));
    CHECK_FALSE(allow({"forward_secrecy"}, scram));
    auto bad = SecurityOptions::parse("smtpd_sasl_security_options", {"noplain"});
    REQUIRE_FALSE(bad);
    CHECK(bad.error().full_text() == "smtpd_sasl_security_options: unknown option noplain");
}

TEST_CASE("an owner is one of the list, whole and in either case of letters")
{
    CHECK(is_owner("alice, Bob", "bob"));
    CHECK(is_owner("bob@example.org", "BOB@example.org"));
    CHECK_FALSE(is_owner("bobby,alice", "bob"));
    CHECK_FALSE(is_owner("", "bob"));
}

TEST_CASE("a type other than dovecot, and no path, are faults of the configuration")
{
    for (const char* lines : {"smtpd_sasl_path = private/auth\n", "smtpd_sasl_type = dovecot\nsmtpd_sasl_path =\n",
                              "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = inet:host\n",
                              "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = a\nsmtpd_sasl_tls_security_options = nothing\n"})
        CHECK_THROWS(SmtpdFixture(std::string("smtpd_sasl_auth_enable = yes\n") + lines));
}
