// Nothing of a mail survives its end, whatever the end was; BDAT in all its states.
#include "t/support/catch.h"
#include "t/unit/smtpd/session_fixture.h"

using namespace posthouse;
using namespace posthouse::test;

namespace {

const std::string ehlo = "EHLO client.example\r\n";
const std::string mail_from = "MAIL FROM:<you@example.net>\r\n";
const std::string rcpt_to = "RCPT TO:<friend@example.org>\r\n";
const std::string message = "Subject: x\r\n\r\nbody\r\n.\r\n";

std::string bdat(std::string_view bytes, bool last)
{
    return cat("BDAT ", bytes.size(), last ? " LAST" : "", "\r\n", bytes);
}

// What comes before, and the codes for it.
struct Ending {
    const char* name;
    std::vector<std::string> chunks;
    const char* codes;
};

std::vector<Ending> endings()
{
    const std::string large(40000, 'x');
    return {
        {"an accepted message", {mail_from, rcpt_to, "DATA\r\n", message}, "250 250 354 250"},
        {"RSET", {mail_from, rcpt_to, "RSET\r\n"}, "250 250 250"},
        {"EHLO again", {mail_from, rcpt_to, ehlo}, "250 250 250"},
        {"HELO again", {mail_from, rcpt_to, "HELO client.example\r\n"}, "250 250 250"},
        {"a message too large", {mail_from, rcpt_to, "DATA\r\n", large + "\r\n.\r\n"}, "250 250 354 552"},
        {"a chunk too large", {mail_from, rcpt_to, bdat(large, true)}, "250 250 552"},
        {"an accepted chunk", {mail_from, rcpt_to, bdat("Subject: x\r\n\r\n", true)}, "250 250 250"},
        {"a first chunk too large, then its last", {mail_from, rcpt_to, bdat(large, false), bdat("x", true)}, "250 250 552 551"},
        {"a loop", {mail_from, rcpt_to, "DATA\r\n", "Received: a\r\nReceived: b\r\nReceived: c\r\n" + message}, "250 250 354 554"},
        {"a chunk without recipient", {mail_from, bdat("MAIL FROM:<x@y>\r\n", true)}, "250 554"},
        {"a chunk without mail", {bdat("MAIL FROM:<x@y>\r\n", true)}, "503"},
    };
}

} // namespace

TEST_CASE("after every end of a mail RCPT, DATA and BDAT need a new MAIL")
{
    for (const Ending& ending : endings()) {
        for (const size_t piece : {SIZE_MAX, size_t(1)}) {
            SmtpdFixture smtpd("message_size_limit = 20000\nhopcount_limit = 2\n");
            std::vector<std::string> chunks = {ehlo};
            chunks.insert(chunks.end(), ending.chunks.begin(), ending.chunks.end());
            for (const char* command : {"RCPT TO:<friend@example.org>\r\n", "DATA\r\n", "BDAT 3 LAST\r\nabc"})
                chunks.push_back(command);
            INFO(ending.name << ", pieces of " << piece);
            CHECK(codes(smtpd.talk(chunks, piece)) == std::string("220 250 ") + ending.codes + " 503 503 503");
        }
    }
}

TEST_CASE("after every end of a mail the next one is taken, with its own envelope only")
{
    for (const Ending& ending : endings()) {
        SmtpdFixture smtpd("message_size_limit = 20000\nhopcount_limit = 2\n");
        std::vector<std::string> chunks = {ehlo};
        chunks.insert(chunks.end(), ending.chunks.begin(), ending.chunks.end());
        for (const char* command : {"MAIL FROM:<>\r\n", "RCPT TO:<postmaster@example.org>\r\n", "DATA\r\n", message.c_str()})
            chunks.push_back(command);
        const std::string output = codes(smtpd.talk(chunks));
        INFO(ending.name << ": " << output);
        CHECK(output.ends_with(" 250 250 354 250"));
        REQUIRE(!smtpd.queue.stored.empty());
        const mail::Envelope& envelope = smtpd.queue.stored.back().envelope;
        CHECK(envelope.sender.empty());
        REQUIRE(envelope.recipients.size() == 1);
        CHECK(envelope.recipients[0].address == "postmaster@example.org");
    }
}

TEST_CASE("a client that goes away at any byte leaves no message behind and none half done")
{
    const std::string whole = ehlo + mail_from + rcpt_to + "DATA\r\n" + message;
    for (size_t length = 1; length < whole.size(); ++length) {
        SmtpdFixture smtpd("smtpd_forbid_unauth_pipelining = no\n");
        smtpd.talk({whole.substr(0, length)}, 1);
        CHECK(smtpd.queue.stored.empty());
        CHECK(smtpd.queue.begun == smtpd.queue.dropped);
    }
}

TEST_CASE("chunks make one message, answered one by one")
{
    for (const size_t piece : {SIZE_MAX, size_t(1)}) {
        SmtpdFixture smtpd;
        const std::string output = smtpd.talk({ehlo, mail_from, rcpt_to, bdat("Subject: x\r\n", false), bdat("\r", false),
                                               bdat("\nbody\r\n.\r\n", false), bdat("", false), bdat("", true)},
                                              piece);
        CHECK(codes(output) == "220 250 250 250 250 250 250 250 250");
        CHECK(output.find("250 2.0.0 Ok: 12 bytes\r\n") != std::string::npos);
        REQUIRE(smtpd.queue.stored.size() == 1);
        CHECK(smtpd.queue.stored[0].content.ends_with("Subject: x\r\n\r\nbody\r\n.\r\n"));
    }
}

TEST_CASE("chunks may come together, with the next mail behind the last one")
{
    SmtpdFixture smtpd;
    const std::string mail = mail_from + rcpt_to + bdat("Subject: x\r\n\r\n", false) + bdat("body\r\n", true);
    CHECK(codes(smtpd.talk({ehlo, mail + mail + "QUIT\r\n"})) == "220 250 250 250 250 250 250 250 250 250 221");
    CHECK(smtpd.queue.stored.size() == 2);
}

TEST_CASE("a refused chunk is read as content, and those after it are read and refused")
{
    SmtpdFixture smtpd;
    const std::string commands = "MAIL FROM:<evil@example.net>\r\nRCPT TO:<friend@example.org>\r\nDATA\r\nx\r\n.\r\n";
    const std::string output = smtpd.talk({ehlo, mail_from + bdat(commands, false) + bdat(commands, false) + bdat(commands, true) + mail_from
                                                     + rcpt_to + bdat("Subject: x\r\n\r\n", true)});
    CHECK(codes(output) == "220 250 250 554 551 551 250 250 250");
    CHECK(smtpd.queue.stored.size() == 1);
}

TEST_CASE("a chunk whose size cannot be read ends the session, as nobody knows where it ends")
{
    for (const char* argument : {"", "x", "-1", "99999999999999999999", "5 FIRST", "5 LAST x", "0x10", "+5"}) {
        SmtpdFixture smtpd;
        const std::string output = smtpd.talk({ehlo, mail_from, rcpt_to, std::string("BDAT ") + argument + "\r\n", "QUIT\r\n"});
        INFO(argument);
        CHECK(codes(output) == "220 250 250 250 501");
    }
}

TEST_CASE("while chunks come, RCPT, MAIL and DATA are refused and the chunks go on")
{
    SmtpdFixture smtpd;
    CHECK(codes(smtpd.talk({ehlo, mail_from, rcpt_to, bdat("Subject: x\r\n\r\n", false), rcpt_to, mail_from, "DATA\r\n", bdat("y\r\n", true)}))
          == "220 250 250 250 250 503 503 503 250");
    REQUIRE(smtpd.queue.stored.size() == 1);
    CHECK(smtpd.queue.stored[0].envelope.recipients.size() == 1);
}

TEST_CASE("a hundred thousand chunks of one byte are one small message")
{
    SmtpdFixture smtpd;
    std::string chunks = bdat("Subject: x\r\n\r\n", false);
    for (int count = 0; count < 100000; ++count)
        chunks += "BDAT 1\r\n.";
    CHECK(codes(smtpd.talk({ehlo, mail_from + rcpt_to + chunks + bdat("", true)})).ends_with(" 250 250"));
    REQUIRE(smtpd.queue.stored.size() == 1);
    CHECK(smtpd.queue.stored[0].content.ends_with(std::string(100000, '.') + "\r\n"));
}

TEST_CASE("a declared size that is not kept to is no reason to lose the message")
{
    SmtpdFixture smtpd;
    CHECK(codes(smtpd.talk({ehlo, "MAIL FROM:<you@example.net> SIZE=1\r\n", rcpt_to, "DATA\r\n", message})) == "220 250 250 250 354 250");
}

TEST_CASE("sessions that follow each other in one connection of the server share nothing")
{
    SmtpdFixture smtpd;
    smtpd.talk({ehlo, mail_from, rcpt_to});
    CHECK(codes(smtpd.talk({rcpt_to, "DATA\r\n"})) == "220 503 503");
    CHECK(smtpd.server->sessions.empty());
    CHECK(smtpd.server->counters.size() == 1);
}

TEST_CASE("VRFY between RCPT and DATA changes nothing about the mail at hand")
{
    SmtpdFixture smtpd("smtpd_reject_unlisted_recipient = no\n"
                       "smtpd_recipient_restrictions = check_recipient_access inline:{{trap@example.org=DISCARD}}\n");
    const std::string output = smtpd.talk({ehlo, mail_from, rcpt_to, "VRFY trap@example.org\r\n", "DATA\r\n", message});
    CHECK(output.find("\r\n252 2.0.0 trap@example.org\r\n") != std::string::npos);
    CHECK(smtpd.queue.stored.size() == 1);
}

TEST_CASE("what an access table puts before a message is one line")
{
    SmtpdFixture smtpd("smtpd_recipient_restrictions = check_client_access environ:table\n");
    ::setenv("198.51.100.7", "PREPEND X-A: b\r\n\r\nbody", 1);
    smtpd.talk({ehlo, mail_from, rcpt_to, "DATA\r\n", message});
    ::unsetenv("198.51.100.7");
    REQUIRE(smtpd.queue.stored.size() == 1);
    CHECK(smtpd.queue.stored[0].content.find("X-A") == std::string::npos);
}
