// No way to make this host send a stranger's mail to a third place: the address shapes that have opened
// relays, each refused at RCPT.
#include "t/support/catch.h"
#include "t/unit/smtpd/session_fixture.h"

#include <sstream>

using namespace posthouse;
using namespace posthouse::test;

namespace {

// u: a user. f: far.example, foreign. l: example.org, ours. r: relay.example, in relay_domains.
const char* const foreign_shapes[] = {
    "<u@far.example>",
    "u@far.example",
    "<u@FAR.EXAMPLE>",
    "<u@far.example.>",
    "<u%far.example@example.org>",
    "<u%far.example@localhost>",
    "<u%far.example@mx.example.org>",
    "<u%far.example@[192.0.2.1]>",
    "<u%far.example%example.org@example.org>",
    "<u%far.example%relay.example@example.org>",
    "<u%far.example@relay.example>",
    "<u%far.example@far.example>",
    "<u%far.example>",
    "<%far.example@example.org>",
    "<u%%far.example@example.org>",
    "<u%far.example%@example.org>",
    "<u%[203.0.113.1]@example.org>",
    "<far.example!u@example.org>",
    "<far.example!u>",
    "<far.example!u@relay.example>",
    "<far.example!example.org!u@example.org>",
    "<example.org!far.example!u>",
    "<example.org!far.example!u@example.org>",
    "<example.org!u%far.example@example.org>",
    "<far.example!u%example.org@example.org>",
    "<!u@far.example>",
    "<u@far.example@example.org>",
    "<u@example.org@far.example>",
    "<u@far.example@relay.example>",
    "<u@far.example@localhost>",
    "<u@far.example@[192.0.2.1]>",
    "<u@far.example@>",
    "<u@@far.example>",
    "<@far.example>",
    "<@far.example@example.org>",
    "<\"u@far.example\"@example.org>",
    "<\"u@far.example\"@localhost>",
    "<\"u@far.example\"@relay.example>",
    "<\"u@far.example\">",
    "<\"u%far.example\"@example.org>",
    "<\"u%far.example\"@relay.example>",
    "<\"far.example!u\"@example.org>",
    "<\"far.example!u\"@relay.example>",
    "<\"u\"@far.example>",
    "<\"u u\"@far.example>",
    "<\"u\\@far.example\"@example.org>",
    "<\"u\\%far.example\"@example.org>",
    "<u\\@far.example@example.org>",
    "<u\\%far.example@example.org>",
    "\"<u@far.example>\"@example.org",
    "<@example.org:u@far.example>",
    "<@localhost:u@far.example>",
    "<@relay.example:u@far.example>",
    "<@example.org,@relay.example:u@far.example>",
    "<@far.example:u%far.example@example.org>",
    "<@example.org:far.example!u@example.org>",
    "<@far.example:u@far.example@example.org>",
    "<@example.org:@far.example>",
    "<@example.org:u@far.example:25>",
    "<u@[203.0.113.1]>",
    "<u@[IPv6:2001:db8::9]>",
    "<u@203.0.113.1>",
    "<u@[203.0.113.1]@example.org>",
    "<u%[IPv6:2001:db8::9]@example.org>",
    "<postmaster@far.example>",
    "<postmaster@[203.0.113.1]>",
    "<postmaster%far.example@example.org>",
    "<postmaster@far.example@example.org>",
    "<friend@far.example>",
    "<friend%far.example@example.org>",
    "<friend+u%far.example@example.org>",
    "<friend+u@far.example@example.org>",
    "<friend@example.org.far.example>",
    "<friend@example.orgx>",
    "<friend@sub.example.org>",
    "<friend@xexample.org>",
    "<friend@notrelay.example>",
    "<friend@example.org,u@far.example>",
    "<friend@example.org;u@far.example>",
    "<friend@example.org u@far.example>",
    "<friend@example.org><u@far.example>",
    "<friend@example.org> <u@far.example>",
    "<<friend@example.org>,u@far.example>",
    "<u@far.example> friend@example.org",
    "friend@example.org,u@far.example",
    "<friend@example.org\tu@far.example>",
    "<u@far.example(example.org)>",
    "<u@far.example (friend@example.org)>",
    "(friend@example.org) u@far.example",
    "<\"friend@example.org\"@far.example>",
    "<friend@example.org:u@far.example>",
    "Friend <u@far.example>",
    "<smtp:u@far.example>",
    "<relay:[far.example]>",
    "<|/bin/sh>",
    "<\"|/bin/sh\"@example.org>",
    "</etc/passwd>",
    "<\"/etc/passwd\"@example.org>",
    "<:include:/etc/passwd>",
    "<\":include:/etc/passwd\"@example.org>",
    "<;for i in 0 1;do sh;done;@example.org>",
    "<${run{/bin/sh}}@example.org>",
    "<u=far.example@example.org>",
    "<u#far.example@example.org>",
    "<u@far.example%example.org>",
    "<u@far.example!example.org>",
    "<u@far..example>",
    "<u@.far.example>",
    "<u@far_example>",
    "<u@-far.example>",
    "<u@>",
    "<>",
    "<@>",
    "<\"\"@far.example>",
    "<.@far.example>",
    "<\xc3\xbc@far.example>",
    "<u@f\xc3\xa4r.example>",
    "<\xe2\x82@far.example>",
};

// With what a stranger may say before: nothing about the sender opens the door.
const char* const senders[] = {
    "<you@example.net>", "<>", "<friend@example.org>", "<root@localhost>", "<postmaster>", "<u@relay.example>",
    "<friend@[192.0.2.1]>",
};

} // namespace

TEST_CASE("a stranger cannot relay by any address shape, whatever the sender is")
{
    for (const char* sender : senders) {
        SmtpdFixture smtpd("smtpd_hard_error_limit = 100000\nsmtpd_soft_error_limit = 100000\n"
                           "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n");
        std::vector<std::string> chunks = {"EHLO client.example\r\n", std::string("MAIL FROM:") + sender + "\r\n"};
        for (const char* shape : foreign_shapes)
            chunks.push_back(std::string("RCPT TO:") + shape + "\r\n");
        std::istringstream replies(codes(smtpd.talk(chunks)));
        std::string code;
        replies >> code >> code >> code;
        REQUIRE(code == "250"); // MAIL
        for (const char* shape : foreign_shapes) {
            REQUIRE(replies >> code);
            INFO(sender << " to " << shape);
            CHECK((code == "501" || code == "550" || code == "553" || code == "554" || code == "500" || code == "555"));
        }
        CHECK(smtpd.queue.begun == 0);
    }
}

TEST_CASE("a NUL in an address is refused")
{
    SmtpdFixture smtpd;
    const std::string nul("RCPT TO:<friend@example.org\0@far.example>\r\n", 43);
    CHECK(codes(smtpd.talk({"EHLO client.example\r\n", "MAIL FROM:<you@example.net>\r\n", nul})) == "220 250 250 500");
}

TEST_CASE("the known recipients of our own domains are taken from strangers, in all their spellings")
{
    for (const char* shape :
         {"<friend@example.org>", "friend@example.org", "<FRIEND@EXAMPLE.ORG>", "<friend@example.org.>", "<friend>",
          "<\"friend\"@example.org>", "<@far.example:friend@example.org>", "<friend@localhost>", "<postmaster>",
          "<PostMaster>", "<postmaster@example.org>", "<first.last@example.org>", "<\"first.last\"@example.org>",
          "<anybody@relay.example>", "<friend%example.org@example.org>", " <friend@example.org>"}) {
        SmtpdFixture smtpd("relay_recipient_maps =\n");
        INFO(shape);
        CHECK(codes(smtpd.talk({"EHLO client.example\r\n", "MAIL FROM:<you@example.net>\r\n",
                                std::string("RCPT TO:") + shape + "\r\n"}))
              == "220 250 250 250");
    }
}

TEST_CASE("a client in mynetworks may relay")
{
    SmtpdFixture smtpd;
    smtpd.client_address = "192.0.2.1";
    CHECK(codes(smtpd.talk({"EHLO client.example\r\n", "MAIL FROM:<you@example.net>\r\n", "RCPT TO:<u@far.example>\r\n"}))
          == "220 250 250 250");
}

TEST_CASE("by default relaying is put off with 454, so that a mistake of the administrator loses no mail")
{
    SmtpdFixture smtpd;
    const std::string output =
        smtpd.talk({"EHLO client.example\r\n", "MAIL FROM:<you@example.net>\r\n", "RCPT TO:<u@far.example>\r\n"});
    CHECK(output.find("454 4.7.1 <u@far.example>: Relay access denied\r\n") != std::string::npos);
}

TEST_CASE("OK from an access table in the recipient restrictions opens no relay")
{
    SmtpdFixture smtpd("smtpd_recipient_restrictions = check_sender_access static:OK, reject_unauth_destination\n"
                       "smtpd_sender_restrictions = check_client_access static:OK\n"
                       "smtpd_client_restrictions = permit\n"
                       "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n");
    CHECK(codes(smtpd.talk({"EHLO client.example\r\n", "MAIL FROM:<you@example.net>\r\n", "RCPT TO:<u@far.example>\r\n"}))
          == "220 250 250 554");
}

TEST_CASE("unknown recipients of ours are refused at RCPT, with the name of the table")
{
    SmtpdFixture smtpd;
    const std::string output =
        smtpd.talk({"EHLO client.example\r\n", "MAIL FROM:<you@example.net>\r\n", "RCPT TO:<nobody@example.org>\r\n"});
    CHECK(output.find("550 5.1.1 <nobody@example.org>: Recipient address rejected: User unknown in local recipient table\r\n")
          != std::string::npos);
}

TEST_CASE("a table that fails gives 451, never unknown and never accepted")
{
    SmtpdFixture smtpd("local_recipient_maps = fail:maintenance\n");
    const std::string output =
        smtpd.talk({"EHLO client.example\r\n", "MAIL FROM:<you@example.net>\r\n", "RCPT TO:<friend@example.org>\r\n"});
    CHECK(output.find("451 4.3.0 <friend@example.org>: Temporary lookup failure\r\n") != std::string::npos);
}
