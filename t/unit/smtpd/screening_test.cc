// Parts of screening: what is kept of a client, the access list, and sessions of clients that have tests left to pass.
#include "t/support/catch.h"
#include "t/unit/smtpd/session_fixture.h"

#include "smtpd/screening.h"
#include "smtpd/screening_access.h"
#include "smtpd/screening_record.h"

#include <sys/socket.h>

using namespace posthouse;
using namespace posthouse::smtpd;
using namespace posthouse::test;

namespace {

using Answer = ScreeningAccess::Answer;

Answer look_up(SmtpdFixture& with, const std::string& list, const char* address)
{
    const table::Context context(with.loop, with.pool, *with.config);
    auto access = ScreeningAccess::open(list, with.server->mynetworks.get(), context);
    REQUIRE(access);
    return run_task(with.loop, (*access)->look_up(*net::IpAddress::parse(address)));
}

const Ends stranger(net::SocketAddress(*net::IpAddress::parse("198.51.100.7"), 4711),
                    net::SocketAddress(*net::IpAddress::parse("192.0.2.25"), 25));

struct ScreenedFixture : SmtpdFixture {
    explicit ScreenedFixture(const std::string& more)
        : SmtpdFixture("smtpd_screening_enable = yes\npostscreen_pipelining_enable = yes\n" + more)
    {
    }
    static Task<void> serve_screened(Server& server, ByteStream& stream, ScreenAction against)
    {
        const Ends ends = stranger;
        auto client = std::make_unique<ScreenedClient>(*server.screening, ends);
        client->recall();
        (void)client->punish(against, smtp::Reply(550, "5.3.2", "Not you"));
        Session session(server, stream, Client(ends));
        session.watch_client(std::move(client));
        co_await session.serve();
    }
    std::string talk_screened(std::vector<std::string> chunks, ScreenAction against, size_t piece = SIZE_MAX)
    {
        ScriptedClient stream(loop, std::move(chunks), piece);
        run_task(loop, serve_screened(*server, stream, against), Duration::seconds(60));
        return stream.written;
    }
};

struct Connection {
    explicit Connection(Loop& loop) : stream(loop, open()) {}
    UniqueFd open()
    {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        client = UniqueFd(ends[1]);
        return UniqueFd(ends[0]);
    }
    UniqueFd client;
    Socket stream;
};

Task<void> admit(Screening& screening, ByteStream& stream, std::optional<Admission>& into)
{
    auto admission = co_await screening.admit(stream, stranger);
    into.emplace(std::move(admission));
}

const std::vector<std::string> one_message = {"EHLO client.example\r\n", "MAIL FROM:<you@example.net>\r\n",
                                              "RCPT TO:<friend@example.org>\r\n", "DATA\r\n", "\r\nx\r\n.\r\n", "QUIT\r\n"};

} // namespace

TEST_CASE("a record of passed tests survives its text, and other text is no record")
{
    PassRecord record;
    record.pass(ScreenTest::Dnsbl, 1795318681);
    record.pass(ScreenTest::BareNewline, 1797910681);
    CHECK(record.to_text() == "0;1795318681;0;0;1797910681");
    const auto again = PassRecord::parse(record.to_text());
    REQUIRE(again);
    CHECK(again->holds(ScreenTest::Dnsbl, 1795318680));
    CHECK_FALSE(again->holds(ScreenTest::Dnsbl, 1795318681));
    CHECK_FALSE(again->holds(ScreenTest::Greet, 1));
    CHECK(again->end() == 1797910681);
    for (const char* text : {"", "1;2;3;4", "1;2;3;4;5;6", "1;2;3;4;x", "1;2;3;4;", "1;2;3;4;-5", "1;2;3;4;99999999999999999999"})
        CHECK_FALSE(PassRecord::parse(text));
}

TEST_CASE("the first item of the access list that says something decides")
{
    SmtpdFixture smtpd; // mynetworks = 192.0.2.0/24
    const std::string tables = "inline:{ 198.51.100.1=permit, 198.51.100.2=REJECT, 198.51.100.3=dunno, 198.51.100.4=nonsense }";
    CHECK(look_up(smtpd, "permit_mynetworks, " + tables, "192.0.2.1") == Answer::Permit);
    CHECK(look_up(smtpd, "permit_mynetworks, " + tables, "198.51.100.1") == Answer::Permit);
    CHECK(look_up(smtpd, "permit_mynetworks, " + tables, "198.51.100.2") == Answer::Reject);
    CHECK(look_up(smtpd, tables + " reject", "198.51.100.3") == Answer::Reject);
    CHECK(look_up(smtpd, tables + " reject", "198.51.100.4") == Answer::Reject);
    CHECK(look_up(smtpd, tables, "198.51.100.5") == Answer::Unknown);
    CHECK(look_up(smtpd, "fail:x " + tables, "198.51.100.2") == Answer::Reject);
    CHECK(look_up(smtpd, "", "198.51.100.1") == Answer::Unknown);
}

TEST_CASE("a word in the access list that is none is told at the start")
{
    for (const char* setting : {"postscreen_access_list = permit_mynetwork\n", "postscreen_dnsbl_sites = bad.test=1.2.3\n"})
        CHECK_THROWS(SmtpdFixture(std::string("smtpd_screening_enable = yes\n") + setting));
}

TEST_CASE("a client against whom something is held is heard, and no recipient of it is accepted")
{
    ScreenedFixture smtpd("");
    std::vector<std::string> commands = one_message;
    commands.erase(commands.end() - 2); // the content
    CHECK(codes(smtpd.talk_screened(commands, ScreenAction::Enforce)) == "220 250 250 550 554 221");
    CHECK(smtpd.queue.stored.empty());
    CHECK(codes(smtpd.talk_screened(one_message, ScreenAction::Ignore)) == "220 250 250 250 354 250 221");
    CHECK(smtpd.queue.stored.size() == 1);
}

TEST_CASE("commands that are sent ahead are an offence as often as they are pieces of one")
{
    const std::vector<std::string> ahead = {"EHLO client.example\r\nMAIL FROM:<you@example.net>\r\n",
                                            "RCPT TO:<friend@example.org>\r\n", "QUIT\r\n"};
    ScreenedFixture dropping("postscreen_pipelining_action = drop\n");
    CHECK(codes(dropping.talk_screened(ahead, ScreenAction::Ignore)) == "220 521");
    ScreenedFixture enforcing("smtpd_forbid_unauth_pipelining = no\n");
    CHECK(codes(enforcing.talk_screened(ahead, ScreenAction::Ignore)) == "220 250 250 550 221");
    ScreenedFixture ignoring("smtpd_forbid_unauth_pipelining = no\npostscreen_pipelining_action = ignore\n");
    CHECK(codes(ignoring.talk_screened(ahead, ScreenAction::Ignore)) == "220 250 250 250 221");
    // A byte at a time nothing is ahead of anything.
    CHECK(codes(enforcing.talk_screened(ahead, ScreenAction::Ignore, 1)) == "220 250 250 250 221");
}

TEST_CASE("a client that waits for its greeting can be given up at any moment, and nothing of it stays")
{
    ScreenedFixture smtpd("postscreen_greet_wait = 1s\n");
    const long frames = task_detail::live_frames;
    for (int turns = 0; turns < 12; ++turns) {
        Connection connection(smtpd.loop);
        std::optional<Admission> admission;
        {
            TaskGroup group(smtpd.loop);
            group.spawn(admit(*smtpd.server->screening, connection.stream, admission));
            for (int turn = 0; turn < turns; ++turn) {
                if (turn == 5)
                    connection.client.reset(); // it hangs up, and what follows may be cancelled as well
                smtpd.loop.run_once(Duration::milliseconds(5));
            }
        }
        smtpd.loop.run_once(Duration());
        CAPTURE(turns);
        CHECK(task_detail::live_frames == frames);
        CHECK(smtpd.server->screening->waiting() == 0);
    }
}

TEST_CASE("who keeps silent is let in after the wait, who speaks is not where that is enforced")
{
    for (const bool speaks : {false, true}) {
        ScreenedFixture smtpd("postscreen_greet_wait = 1s\npostscreen_greet_action = drop\n");
        Connection connection(smtpd.loop);
        if (speaks)
            REQUIRE(::send(connection.client.get(), "EHLO x\r\n", 8, 0) == 8);
        std::optional<Admission> admission;
        run_task(smtpd.loop, admit(*smtpd.server->screening, connection.stream, admission));
        REQUIRE(admission);
        CHECK(admission->admitted == !speaks);
        char bytes[200];
        const ssize_t got = ::recv(connection.client.get(), bytes, sizeof bytes, 0);
        const std::string_view heard(bytes, static_cast<size_t>(std::max<ssize_t>(got, 0)));
        CHECK(heard.starts_with("220-mx.example.org ESMTP"));
        CHECK((heard.find("521 5.5.1 Protocol error") != std::string_view::npos) == speaks);
    }
}
