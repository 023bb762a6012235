// Content to the wire.
#include "lib/smtp/data_reader.h"
#include "lib/smtp/data_writer.h"
#include "t/support/catch.h"

using namespace posthouse;

namespace {
smtp::ContentFacts facts(bool leading_dot, uint32_t longest)
{
    smtp::ContentFacts result;
    result.has_leading_dot = leading_dot;
    result.longest_line = longest;
    return result;
}

std::string write(std::string_view content, const smtp::ContentFacts& its_facts, size_t limit, size_t piece)
{
    smtp::DataWriter writer(its_facts, limit);
    std::string out;
    for (; !content.empty(); content.remove_prefix(std::min(piece, content.size())))
        writer.append(content.substr(0, piece), out);
    writer.finish(out);
    return out;
}
} // namespace

TEST_CASE("content whose facts allow it goes out as it is")
{
    smtp::DataWriter writer(facts(false, 10), 998);
    CHECK(writer.verbatim());
    CHECK(write("a\r\nb\r\n", facts(false, 1), 998, 1) == "a\r\nb\r\n.\r\n");
    CHECK_FALSE(smtp::DataWriter(facts(true, 10), 998).verbatim());
    CHECK_FALSE(smtp::DataWriter(facts(false, 1000), 998).verbatim());
    CHECK(smtp::DataWriter(facts(false, 1000), 0).verbatim());
}

TEST_CASE("a dot at the begin of a line is doubled at any cut")
{
    for (size_t piece = 1; piece < 12; ++piece)
        CHECK(write(".\r\n.a\r\nb.\r\n", facts(true, 2), 998, piece) == "..\r\n..a\r\nb.\r\n.\r\n");
}

TEST_CASE("a last line without line end is completed")
{
    CHECK(write("a", facts(false, 1), 998, 9) == "a\r\n.\r\n");
    CHECK(write(".a", facts(true, 2), 998, 9) == "..a\r\n.\r\n");
    CHECK(write("", facts(false, 0), 998, 9) == ".\r\n");
}

TEST_CASE("a line above the limit is folded with CRLF SP, not within a UTF-8 character")
{
    for (size_t piece = 1; piece < 14; ++piece) {
        CHECK(write("abcdefghijkl\r\n", facts(false, 12), 5, piece) == "abcde\r\n fghi\r\n jkl\r\n.\r\n");
        CHECK(write("abcde\r\n", facts(false, 12), 5, piece) == "abcde\r\n.\r\n");
    }
    CHECK(write("abcd\xc3\xa4" "fg\r\n", facts(false, 12), 5, 99) == "abcd\r\n \xc3\xa4" "fg\r\n.\r\n");
}

TEST_CASE("the client never sends a bare CR or LF when it has to look at the content")
{
    for (size_t piece = 1; piece < 10; ++piece)
        CHECK(write("a\rb\nc\r\r\n.\r\n", facts(true, 12), 998, piece) == "a b\r\nc \r\n..\r\n.\r\n");
}

TEST_CASE("what the writer sends the reader gives back")
{
    const std::string alphabet = "\r\n.a";
    for (unsigned number = 0; number < 4096; ++number) {
        std::string content;
        for (unsigned rest = number, i = 0; i < 6; ++i, rest /= 4)
            content.append(rest % 4 == 1 ? "\r\n" : rest % 4 == 0 ? "x" : std::string(1, alphabet[rest % 4]));
        content.append("\r\n");
        const std::string wire = write(content, facts(true, 10), 998, 3);
        smtp::DataReader reader;
        std::string back;
        std::string_view rest = wire;
        bool finished = false;
        while (!finished) {
            const auto step = reader.scan(rest);
            back.append(step.content);
            rest.remove_prefix(step.consumed);
            finished = step.finished;
        }
        REQUIRE(back == content);
        REQUIRE(rest.empty());
    }
}
