// Lines of Dovecot's auth client protocol, good and bad.
#include "lib/sasl/auth_protocol.h"
#include "t/support/catch.h"

using namespace posthouse;
using namespace posthouse::sasl;

namespace {

AuthReply good(std::string_view line)
{
    auto reply = parse_reply(line);
    REQUIRE(reply);
    REQUIRE(*reply);
    return **reply;
}

bool is_corrupt(std::string_view line)
{
    auto reply = parse_reply(line);
    return !reply && reply.error().kind() == ErrorKind::Corrupt;
}

} // namespace

TEST_CASE("a handshake lists mechanisms with their traits, and ends with DONE")
{
    Handshake handshake;
    for (const char* line : {"VERSION\t1\t2", "MECH\tPLAIN\tplaintext", "MECH\tscram-sha-256\tmutual-auth\tshiny",
                             "MECH\tANONYMOUS\tanonymous\tprivate", "SPID\t17", "CUID\t3", "COOKIE\tabc", "NEWS\tof\t1.9"}) {
        auto done = handshake.line(line);
        REQUIRE(done);
        CHECK_FALSE(*done);
    }
    auto done = handshake.line("DONE");
    REQUIRE(done);
    CHECK(*done);
    CHECK(handshake.mechanisms == std::vector<Mechanism>{Mechanism("PLAIN", PlainText), Mechanism("SCRAM-SHA-256", MutualAuth),
                                                         Mechanism("ANONYMOUS", Anonymous | Private)});
}

TEST_CASE("a peer that does not begin with version 1 is no authentication service")
{
    for (const char* line : {"220 mail.example.com ESMTP", "MECH\tPLAIN", "VERSION\t2\t0", "VERSION", "VERSION\tx", "DONE", ""}) {
        Handshake handshake;
        CHECK_FALSE(handshake.line(line));
    }
}

TEST_CASE("mechanisms without a proper name, or without number, end the handshake")
{
    Handshake handshake;
    REQUIRE(handshake.line("VERSION\t1\t1"));
    for (const char* line : {"MECH", "MECH\t", "MECH\tPLAIN LOGIN", "MECH\tABCDEFGHIJKLMNOPQRSTU", "MECH\tA\r"})
        CHECK_FALSE(handshake.line(line));
    for (size_t count = 0; count < Handshake::most_mechanisms; ++count)
        REQUIRE(handshake.line("MECH\tPLAIN"));
    CHECK_FALSE(handshake.line("MECH\tPLAIN"));
}

TEST_CASE("OK carries the user among what else the service knows of him")
{
    const AuthReply reply = good("OK\t7\tuser=bob@example.com\tnologin\tgroup=staff");
    CHECK(reply.kind == AuthReply::Kind::Accepted);
    CHECK(reply.id == 7);
    CHECK(reply.user == "bob@example.com");
}

TEST_CASE("a login without a user name, or with a name unfit for log and header, is none")
{
    for (const std::string& line : {std::string("OK\t7"), std::string("OK\t7\tuser="), std::string("OK\t7\tuser=a\001nb"),
                                    std::string("OK\t7\tuser=a\0010b"), "OK\t7\tuser=" + std::string(1025, 'x')})
        CHECK(is_corrupt(line));
}

TEST_CASE("FAIL tells whether it is about the login or the service")
{
    CHECK_FALSE(good("FAIL\t3\tuser=bob").temporary);
    CHECK(good("FAIL\t3\tuser=bob").user == "bob");
    CHECK(good("FAIL\t3\ttemp").temporary);
    CHECK(good("FAIL\t3\tcode=temp_fail").temporary);
    CHECK_FALSE(good("FAIL\t3\tcode=user_disabled").temporary);
    CHECK(good("FAIL\t3\treason=Come back\001tlater").reason == "Come back\tlater");
}

TEST_CASE("CONT carries a challenge, which may be empty, and nothing but base64")
{
    CHECK(good("CONT\t9\t").challenge.empty());
    CHECK(good("CONT\t9\tVXNlcm5hbWU6").challenge == "VXNlcm5hbWU6");
    CHECK(is_corrupt("CONT\t9\t250 Ok"));
    CHECK(is_corrupt("CONT\t9\tabc"));
}

TEST_CASE("replies need the number of their request; unknown commands are passed over")
{
    for (const char* line : {"OK", "OK\t", "OK\tx\tuser=a", "OK\t-1\tuser=a", "FAIL\t4294967296", "CONT\t 1\t"})
        CHECK(is_corrupt(line));
    for (const char* line : {"", "HELLO\t1", "ok\t1\tuser=a", "\t1"}) {
        auto reply = parse_reply(line);
        REQUIRE(reply);
        CHECK_FALSE(*reply);
    }
}

TEST_CASE("base64 is complete or none")
{
    for (const char* text : {"", "QQ==", "QUE=", "QUFB", "+/+/"})
        CHECK(is_base64(text));
    for (const char* text : {"Q", "QQ", "QQ=", "====", "=QQQ", "Q=QQ", "QU\tB", "QQ=A", "QQ==QQ==", "QUF-"})
        CHECK_FALSE(is_base64(text));
}

TEST_CASE("whom a client's certificate names is told, and stays one field whatever the name is")
{
    AuthRequest request;
    request.mechanism = "EXTERNAL";
    request.secured = true;
    request.certificate_user = "b\to\nb";
    CHECK(auth_line(1, request).reveal()
          == "AUTH\t1\tEXTERNAL\tservice=smtp\tnologin\tsecured\tvalid-client-cert\tcert_username=b\001to\001nb\n");
}

TEST_CASE("a request is one line, whatever stands in its fields, with the response at its end")
{
    AuthRequest request;
    request.mechanism = "PLAIN";
    request.service = "smtp\tvalid-client-cert\nOK";
    request.local_address = "127.0.0.1";
    request.local_port = 587;
    request.remote_address = "::1";
    request.remote_port = 4711;
    request.secured = true;
    request.initial.emplace("AGEAYg==");
    CHECK(auth_line(5, request).reveal()
          == "AUTH\t5\tPLAIN\tservice=smtp\001tvalid-client-cert\001nOK\tnologin\tlip=127.0.0.1\trip=::1\tlport=587\t"
             "rport=4711\tsecured\tresp=AGEAYg==\n");
    AuthRequest bare;
    bare.mechanism = "LOGIN";
    CHECK(auth_line(6, bare).reveal() == "AUTH\t6\tLOGIN\tservice=smtp\tnologin\n");
    bare.initial.emplace("");
    CHECK(auth_line(6, bare).reveal() == "AUTH\t6\tLOGIN\tservice=smtp\tnologin\tresp=\n");
    CHECK(continue_line(6, Secret("")).reveal() == "CONT\t6\t\n");
    CHECK(cancel_line(6) == "CANCEL\t6\n");
    CHECK(hello_line(17) == "VERSION\t1\t2\nCPID\t17\n");
}
