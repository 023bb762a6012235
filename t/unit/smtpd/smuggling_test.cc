// End of data and nothing else ends a message: every way known to make two servers disagree about where a
// message ends, sent whole and a byte at a time.
#include "t/support/catch.h"
#include "t/unit/smtpd/session_fixture.h"

using namespace posthouse;
using namespace posthouse::test;

namespace {

struct Variant {
    const char* name;
    std::string bytes;
};

std::vector<Variant> variants()
{
    using std::string_literals::operator""s;
    return {
        {"LF . LF", "\n.\n"s},
        {"LF . CRLF", "\n.\r\n"s},
        {"CRLF . LF", "\r\n.\n"s},
        {"CR . CR", "\r.\r"s},
        {"CRLF . CR", "\r\n.\r"s},
        {"CR . CRLF", "\r.\r\n"s},
        {"LF . CR", "\n.\r"s},
        {"CR . LF", "\r.\n"s},
        {"CRLF . CR CRLF", "\r\n.\r\r\n"s},
        {"LF . CR CRLF", "\n.\r\r\n"s},
        {"CRLF . CR CR CRLF", "\r\n.\r\r\r\n"s},
        {"CR CRLF . CR CRLF", "\r\r\n.\r\r\n"s},
        {"CRLF NUL . CRLF", "\r\n\0.\r\n"s},
        {"CRLF . NUL CRLF", "\r\n.\0\r\n"s},
        {"CRLF . CR NUL LF", "\r\n.\r\0\n"s},
        {"CR NUL LF . CR NUL LF", "\r\0\n.\r\0\n"s},
        {"NEL . NEL", "\xc2\x85.\xc2\x85"s},
        {"C1 NEL . C1 NEL", "\x85.\x85"s},
        {"VT . VT", "\v.\v"s},
        {"FF . FF", "\f.\f"s},
        {"CRLF . FF CRLF", "\r\n.\f\r\n"s},
        {"LS . LS", "\xe2\x80\xa8.\xe2\x80\xa8"s},
        {"CRLF . SP CRLF", "\r\n. \r\n"s},
        {"CRLF . TAB CRLF", "\r\n.\t\r\n"s},
        {"CRLF .. CRLF", "\r\n..\r\n"s},
        {"LF CR . LF CR", "\n\r.\n\r"s},
        {"LF LF . LF LF", "\n\n.\n\n"s},
        {"CRLF . LF CR", "\r\n.\n\r"s},
        {"control Z", "\x1a"s},
        {"end of text", "\r\n\x03\r\n\x04"s},
        {"escaped letters", "\\r\\n.\\r\\n"s},
    };
}

const std::string second_message = "MAIL FROM:<evil@example.net>\r\nRCPT TO:<friend@example.org>\r\nDATA\r\n"
                                   "Subject: smuggled\r\n\r\nforged\r\n";

std::vector<std::string> dialogue_with(const std::string& content)
{
    return {"EHLO client.example\r\n", "MAIL FROM:<you@example.net>\r\n", "RCPT TO:<friend@example.org>\r\n", "DATA\r\n",
            content, "QUIT\r\n"};
}

} // namespace

TEST_CASE("whatever is no CRLF.CRLF is content, with one reply for one message")
{
    for (const Variant& variant : variants()) {
        for (const size_t piece : {SIZE_MAX, size_t(1), size_t(3)}) {
            SmtpdFixture smtpd("smtpd_forbid_bare_newline = normalize\n");
            const std::string content = "Subject: first\r\n\r\nbody" + variant.bytes + second_message + ".\r\n";
            const std::string output = smtpd.talk(dialogue_with(content), piece);
            INFO(variant.name << ", pieces of " << piece << "\n" << output);
            CHECK(codes(output) == "220 250 250 250 354 250 221");
            REQUIRE(smtpd.queue.stored.size() == 1);
            CHECK(smtpd.queue.stored[0].content.find("MAIL FROM:<evil@example.net>") != std::string::npos);
            CHECK(smtpd.queue.stored[0].envelope.sender == "you@example.net");
        }
    }
}

TEST_CASE("what is stored has no bare CR and no bare LF")
{
    for (const Variant& variant : variants()) {
        SmtpdFixture smtpd("smtpd_forbid_bare_newline = normalize\n");
        smtpd.talk(dialogue_with("Subject: first\r\n\r\nbody" + variant.bytes + "rest\r\n.\r\n"));
        INFO(variant.name);
        REQUIRE(smtpd.queue.stored.size() == 1);
        const std::string& content = smtpd.queue.stored[0].content;
        for (size_t at = 0; at < content.size(); ++at) {
            if (content[at] == '\r')
                CHECK((at + 1 < content.size() && content[at + 1] == '\n'));
            if (content[at] == '\n')
                CHECK((at > 0 && content[at - 1] == '\r'));
        }
    }
}

TEST_CASE("in reject mode a bare LF in the content ends the session with 550 and nothing is kept")
{
    for (const Variant& variant : variants()) {
        const size_t lf = variant.bytes.find('\n');
        if (lf == std::string::npos || (lf > 0 && variant.bytes[lf - 1] == '\r' && variant.bytes.rfind('\n') == lf))
            continue;
        bool bare = false;
        for (size_t at = 0; at < variant.bytes.size(); ++at)
            bare |= variant.bytes[at] == '\n' && (at == 0 || variant.bytes[at - 1] != '\r');
        if (!bare)
            continue;
        SmtpdFixture smtpd("smtpd_forbid_bare_newline = reject\n");
        const std::string output =
            smtpd.talk(dialogue_with("Subject: first\r\n\r\nbody" + variant.bytes + second_message + ".\r\n"), 1);
        INFO(variant.name << "\n" << output);
        CHECK(codes(output) == "220 250 250 250 354 550");
        CHECK(smtpd.queue.stored.empty());
        CHECK(smtpd.queue.dropped == 1);
    }
}

TEST_CASE("in reject mode a command that ends in a bare LF ends the session")
{
    SmtpdFixture smtpd("smtpd_forbid_bare_newline = reject\n");
    CHECK(codes(smtpd.talk({"EHLO client.example\n", "QUIT\r\n"})) == "220 550");
}

TEST_CASE("in normalize mode a bare LF in the content becomes CRLF")
{
    SmtpdFixture smtpd("smtpd_forbid_bare_newline = normalize\n");
    smtpd.talk(dialogue_with("Subject: first\n\none\ntwo\r\n.\r\n"));
    REQUIRE(smtpd.queue.stored.size() == 1);
    CHECK(smtpd.queue.stored[0].content.find("Subject: first\r\n\r\none\r\ntwo\r\n") != std::string::npos);
}

TEST_CASE("a client in the exclusions may end lines with LF alone")
{
    SmtpdFixture smtpd("smtpd_forbid_bare_newline = reject\nsmtpd_forbid_bare_newline_exclusions = $mynetworks\n");
    smtpd.client_address = "192.0.2.1";
    const std::string output = smtpd.talk({"EHLO client.example\n", "MAIL FROM:<you@example.net>\n",
                                           "RCPT TO:<friend@example.org>\n", "DATA\n", "Subject: x\n\nbody\n.\n", "QUIT\n"});
    CHECK(codes(output) == "220 250 250 250 354 250 221");
    REQUIRE(smtpd.queue.stored.size() == 1);
    CHECK(smtpd.queue.stored[0].content.find("Subject: x\r\n\r\nbody\r\n") != std::string::npos);
}

TEST_CASE("commands inside a chunk of BDAT are content")
{
    for (const Variant& variant : variants()) {
        for (const size_t piece : {SIZE_MAX, size_t(1)}) {
            SmtpdFixture smtpd("smtpd_forbid_bare_newline = normalize\n");
            const std::string content = "Subject: first\r\n\r\nbody" + variant.bytes + second_message + ".\r\n";
            const std::string output =
                smtpd.talk({"EHLO client.example\r\n", "MAIL FROM:<you@example.net>\r\n", "RCPT TO:<friend@example.org>\r\n",
                            "BDAT " + std::to_string(content.size()) + " LAST\r\n" + content, "QUIT\r\n"},
                           piece);
            INFO(variant.name << "\n" << output);
            CHECK(codes(output) == "220 250 250 250 250 221");
            REQUIRE(smtpd.queue.stored.size() == 1);
        }
    }
}

TEST_CASE("a dot that was stuffed is taken off once, wherever the bytes are cut")
{
    for (const size_t piece : {SIZE_MAX, size_t(1), size_t(2)}) {
        SmtpdFixture smtpd;
        smtpd.talk(dialogue_with("Subject: x\r\n\r\n..one\r\n...two\r\n. three\r\n..\r\n.\r\n"), piece);
        REQUIRE(smtpd.queue.stored.size() == 1);
        CHECK(smtpd.queue.stored[0].content.find("\r\n\r\n.one\r\n..two\r\n three\r\n.\r\n") != std::string::npos);
    }
}
