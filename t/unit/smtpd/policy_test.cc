// check_policy_service: the protocol as functions, the client and its connections, and whole sessions, with a policy server
// that is a script.
#include "smtpd/policy_client.h"
#include "smtpd/policy_protocol.h"
#include "t/support/catch.h"
#include "t/unit/sasl/auth_peer.h"
#include "t/unit/smtpd/session_fixture.h"

using namespace posthouse;
using namespace posthouse::smtpd;
using namespace posthouse::test;
using Connection = AuthPeer::Connection;

namespace {

const std::string ehlo = "EHLO client.example\r\n";
const std::string mail_from = "MAIL FROM:<you@example.net> SIZE=1234\r\n";
const std::string rcpt_to = "RCPT TO:<friend@example.org>\r\n";

// Reads a request to its empty line.
void read_request(Connection& peer)
{
    while (!peer.line().empty())
        continue;
}

// Answers as many requests as there are replies, then closes.
AuthPeer::Handle answers(std::vector<std::string> replies)
{
    return [replies](Connection& peer) {
        for (const std::string& reply : replies) {
            read_request(peer);
            peer.send(reply);
        }
    };
}

std::string action(const std::string& text) { return "action=" + text + "\n\n"; }

// What the server was told under this name, once for each request.
std::vector<std::string> told(AuthPeer& peer, const std::string& name)
{
    std::vector<std::string> values;
    for (const std::string& line : peer.said())
        if (line.starts_with(name + "="))
            values.push_back(line.substr(name.size() + 1));
    return values;
}

std::string rule(const AuthPeer& peer, const std::string& more = "")
{
    return "check_policy_service { unix:" + peer.path() + ", retry_delay=1s" + more + " }";
}

// A server for this list, in stages that the test names.
struct PolicyFixture : SmtpdFixture {
    PolicyFixture(const std::string& stage, const std::string& rules, const std::string& more = "")
        : SmtpdFixture("smtpd_" + stage + "_restrictions = " + rules + "\n" + more)
    {
    }
    std::string rcpt()
    {
        const std::string all = talk({ehlo, mail_from, rcpt_to});
        const size_t last = all.rfind('\n', all.size() - 2) + 1;
        return all.substr(last, all.size() - last - 2);
    }
};

std::optional<std::string> parsed(std::string_view input)
{
    auto reply = parse_policy_reply(input);
    REQUIRE(reply);
    return *reply;
}

} // namespace

TEST_CASE("a policy request is lines that no value can add to")
{
    PolicyRequest request;
    request.add("sender", "a\nrecipient=b\r\n\nc\0d");
    request.add("helo_name", "b\xc3\xbc\x7f");
    CHECK(std::move(request).finish() == "request=smtpd_access_policy\nsender=a?recipient=b???c\nhelo_name=b\xc3\xbc?\n\n");
    CHECK(xtext("A B+=\xfc") == "A+20B+2B=+FC");
}

TEST_CASE("a policy reply is read when it is whole, and its action is one line")
{
    CHECK(parsed("action=dunno\n\n") == "dunno");
    CHECK(parsed("action= 550 5.7.1 no  \r\n\r\n") == "550 5.7.1 no");
    CHECK(parsed("x=y\naction=ok\naction=reject\n\n") == "ok");
    CHECK(parsed("action=a\rb\x01\n\n") == "a?b?");
    for (const char* part : {"", "action", "action=du", "action=dunno\n"})
        CHECK_FALSE(parsed(part));
    for (const char* bad : {"\n", "actions=x\n\n", "nothing\n", "action=x\n\naction=y\n\n", "action=x\n\n "})
        CHECK_FALSE(parse_policy_reply(bad));
    CHECK_FALSE(parse_policy_reply(std::string(longest_policy_reply + 1, 'x')));
}

TEST_CASE("a policy server's action is taken like an access table's, in the words of its list")
{
    struct Row {
        const char* action;
        const char* reply;
    };
    for (const Row& row : {Row{"DUNNO", "250 2.1.5 Ok"},
                           Row{"OK", "250 2.1.5 Ok"},
                           Row{"REJECT go away", "554 5.7.1 <friend@example.org>: Recipient address rejected: go away"},
                           Row{"DEFER_IF_PERMIT Greylisted", "450 4.7.1 <friend@example.org>: Recipient address rejected: Greylisted"},
                           Row{"550 5.7.23 SPF", "550 5.7.23 <friend@example.org>: Recipient address rejected: SPF"},
                           Row{"reject_non_fqdn_sender, defer", "450 4.3.2 <friend@example.org>: Recipient address rejected: Try again later"},
                           Row{"nonsense", "451 4.3.5 Server configuration error"}}) {
        AuthPeer peer({answers({action(row.action)})});
        PolicyFixture smtpd("recipient", rule(peer));
        CHECK(smtpd.rcpt() == row.reply);
    }
    AuthPeer prepends({answers({action("PREPEND X-Seen: yes")})});
    PolicyFixture smtpd("recipient", rule(prepends));
    smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", "Subject: x\r\n\r\nbody\r\n.\r\n"});
    REQUIRE(smtpd.queue.stored.size() == 1);
    CHECK(smtpd.queue.stored[0].content.starts_with("X-Seen: yes\r\n"));
}

TEST_CASE("a policy server is told all that is known, one connection for many requests, one instance for a mail")
{
    const std::vector<std::string> replies(5, action("DUNNO"));
    AuthPeer peer({answers(replies)});
    const std::string service = rule(peer, ", { policy_context = the port }");
    PolicyFixture smtpd("recipient", service, "smtpd_data_restrictions = " + service + "\nsmtpd_end_of_data_restrictions = " + service + "\n");
    smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", "Subject: x\r\n\r\nbody\r\n.\r\n", mail_from, rcpt_to, "RCPT TO:<postmaster>\r\n"});
    CHECK(peer.connections() == 1);
    const auto is = [&](const std::string& name, std::vector<std::string> values) {
        CAPTURE(name);
        CHECK(told(peer, name) == values);
    };
    is("request", std::vector<std::string>(5, "smtpd_access_policy"));
    is("protocol_state", {"RCPT", "DATA", "END-OF-MESSAGE", "RCPT", "RCPT"});
    is("protocol_name", std::vector<std::string>(5, "ESMTP"));
    is("client_address", std::vector<std::string>(5, "198.51.100.7"));
    is("client_name", std::vector<std::string>(5, "unknown"));
    is("client_port", std::vector<std::string>(5, "4711"));
    is("helo_name", std::vector<std::string>(5, "client.example"));
    is("sender", std::vector<std::string>(5, "you@example.net"));
    is("recipient", {"friend@example.org", "friend@example.org", "friend@example.org", "friend@example.org", "postmaster"});
    is("recipient_count", {"0", "1", "1", "0", "0"});
    is("size", {"1234", "1234", "20", "1234", "1234"});
    is("queue_id", {"", "", "QUEUEID1", "", ""});
    is("policy_context", std::vector<std::string>(5, "the port"));
    is("sasl_username", std::vector<std::string>(5, ""));
    is("encryption_keysize", std::vector<std::string>(5, "0"));
    const auto instances = told(peer, "instance");
    REQUIRE(instances.size() == 5);
    CHECK_FALSE(instances[0].empty());
    CHECK(instances[0] == instances[2]);
    CHECK(instances[0] != instances[3]);
    CHECK(instances[3] == instances[4]);
    // The attributes of the original's protocol, each in every request.
    const char* names[] = {"request", "protocol_state", "protocol_name", "client_address", "client_name", "client_port",
                           "reverse_client_name", "server_address", "server_port", "helo_name", "sender", "recipient",
                           "recipient_count", "queue_id", "instance", "size", "etrn_domain", "stress", "sasl_method",
                           "sasl_username", "sasl_sender", "ccert_subject", "ccert_issuer", "ccert_fingerprint",
                           "ccert_pubkey_fingerprint", "encryption_protocol", "encryption_cipher", "encryption_keysize",
                           "policy_context", "compatibility_level", "mail_version", "tls_sni"};
    for (const char* name : names) {
        CAPTURE(name);
        CHECK(told(peer, name).size() == 5);
    }
}

TEST_CASE("a connection that the policy server has closed is replaced without a failure")
{
    AuthPeer peer({answers({action("DUNNO")}), answers({action("REJECT second")})});
    PolicyFixture smtpd("recipient", rule(peer, ", try_limit=1"));
    CHECK(smtpd.rcpt() == "250 2.1.5 Ok");
    CHECK(smtpd.rcpt().ends_with("second"));
    CHECK(peer.connections() == 2);
}

TEST_CASE("request_limit and max_ttl end a connection")
{
    AuthPeer limited({answers({action("DUNNO"), action("DUNNO"), action("REJECT x")}), answers({action("DUNNO")})});
    PolicyFixture smtpd("recipient", rule(limited, ", request_limit=2"));
    for (int i = 0; i < 3; ++i)
        CHECK(smtpd.rcpt() == "250 2.1.5 Ok");
    AuthPeer idle({answers({action("DUNNO"), action("REJECT x")}), answers({action("DUNNO")})});
    PolicyFixture later("recipient", rule(idle, ", max_idle=1s"));
    CHECK(later.rcpt() == "250 2.1.5 Ok");
    run_task(later.loop, [](Loop& loop) -> Task<void> { co_await sleep_for(loop, Duration::milliseconds(1100)); }(later.loop));
    CHECK(later.rcpt() == "250 2.1.5 Ok");
}

TEST_CASE("a policy server that fails is tried again, and then the default action counts")
{
    AuthPeer second({answers({"nonsense\n"}), answers({action("REJECT second try")})});
    PolicyFixture smtpd("recipient", rule(second));
    CHECK(smtpd.rcpt().ends_with("second try"));

    AuthPeer never({answers({"action\n\n"}), answers({""})});
    PolicyFixture failing("recipient", rule(never));
    CHECK(failing.rcpt() == "451 4.3.5 <friend@example.org>: Recipient address rejected: Server configuration problem");
    CHECK(never.connections() == 2);

    PolicyFixture open("recipient", "check_policy_service { unix:/nonexistent/socket, try_limit=1, default_action=DUNNO }");
    CHECK(open.rcpt() == "250 2.1.5 Ok");
    PolicyFixture text("recipient", "check_policy_service { unix:/nonexistent/socket, try_limit=1, { default_action = 450 4.3.0 in a while } }");
    CHECK(text.rcpt() == "450 4.3.0 <friend@example.org>: Recipient address rejected: in a while");
}

TEST_CASE("a policy server that says nothing costs one timeout")
{
    AuthPeer silent({[](Connection& peer) {
        read_request(peer);
        peer.line();
    }});
    PolicyFixture smtpd("recipient", rule(silent, ", timeout=1s, default_action=DUNNO"));
    const Instant start = Instant::now();
    CHECK(smtpd.rcpt() == "250 2.1.5 Ok");
    CHECK(Instant::now() - start >= Duration::milliseconds(900));
    CHECK(silent.connections() == 1);
}

TEST_CASE("whoever finds all connections busy waits for his turn, and no longer than his time")
{
    AuthPeer one({answers(std::vector<std::string>(20, action("DUNNO")))});
    PolicyFixture smtpd("recipient", rule(one, ", connection_limit=1"));
    TaskGroup clients(smtpd.loop);
    std::vector<std::unique_ptr<ScriptedClient>> streams;
    for (int i = 0; i < 20; ++i) {
        streams.push_back(std::make_unique<ScriptedClient>(smtpd.loop, std::vector<std::string>{ehlo, mail_from, rcpt_to}, SIZE_MAX));
        clients.spawn(SmtpdFixture::serve(*smtpd.server, *streams.back(),
                                          Client(net::SocketAddress(*net::IpAddress::parse("198.51.100.7"), 1))));
    }
    const Instant limit = Instant::now() + Duration::seconds(20);
    while (clients.size() > 0 && Instant::now() < limit)
        smtpd.loop.run_once(Duration::milliseconds(20));
    for (const auto& stream : streams)
        CHECK(codes(stream->written) == "220 250 250 250");
    CHECK(one.connections() == 1);
}
