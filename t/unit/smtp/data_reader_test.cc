// Reading content off the wire.
#include "lib/smtp/data_reader.h"
#include "t/support/catch.h"

using namespace posthouse;
using namespace std::literals;
using smtp::DataReader;

namespace {

struct Read {
    std::string content;
    std::string rest; // after the end of data
    bool finished = false;
    bool bare_lf = false;
    smtp::ContentFacts facts;
};

// Feeds `input` in pieces of `piece` bytes, as a session would.
Read read_all(std::string_view input, size_t piece, DataReader::LineEnds line_ends = DataReader::LineEnds::Standard)
{
    DataReader reader(line_ends);
    Read result;
    std::string buffer;
    while (!result.finished) {
        const std::string_view next = input.substr(0, piece);
        buffer.append(next);
        input.remove_prefix(next.size());
        while (!result.finished) {
            const auto step = reader.scan(buffer);
            result.content.append(step.content);
            result.finished = step.finished;
            buffer.erase(0, step.consumed);
            if (step.content.empty())
                break;
        }
        if (next.empty())
            break;
    }
    result.rest = buffer + std::string(input);
    result.bare_lf = reader.bare_lf();
    result.facts = reader.facts();
    CHECK(reader.size() == result.content.size());
    return result;
}

// The same result at every cut.
Read read_at_any_cut(std::string_view input, DataReader::LineEnds line_ends = DataReader::LineEnds::Standard)
{
    const Read whole = read_all(input, input.size() + 1, line_ends);
    for (size_t piece = 1; piece <= input.size(); ++piece) {
        const Read cut = read_all(input, piece, line_ends);
        INFO("pieces of " << piece);
        CHECK(cut.content == whole.content);
        CHECK(cut.rest == whole.rest);
        CHECK(cut.finished == whole.finished);
        CHECK(cut.facts == whole.facts);
        CHECK(cut.bare_lf == whole.bare_lf);
    }
    return whole;
}

} // namespace

TEST_CASE("plain content ends at CRLF . CRLF, and what follows is left")
{
    const Read read = read_at_any_cut("Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n");
    CHECK(read.finished);
    CHECK(read.content == "Subject: x\r\n\r\nhello\r\n");
    CHECK(read.rest == "QUIT\r\n");
    CHECK_FALSE(read.facts.has_bare);
    CHECK(read.facts.longest_line == 10);
}

TEST_CASE("an empty message ends at its first line")
{
    const Read read = read_at_any_cut(".\r\nRSET\r\n");
    CHECK(read.finished);
    CHECK(read.content.empty());
    CHECK(read.rest == "RSET\r\n");
}

TEST_CASE("a leading dot is taken off once, and content that starts with one is noted")
{
    const Read read = read_at_any_cut("a\r\n..\r\n..x\r\n.y\r\nb.\r\n.\r\n");
    CHECK(read.content == "a\r\n.\r\n.x\r\ny\r\nb.\r\n");
    CHECK(read.facts.has_leading_dot);
    CHECK_FALSE(read_at_any_cut("a\r\n.y\r\n.\r\n").facts.has_leading_dot);
}

TEST_CASE("no other sequence than CRLF . CRLF ends the data")
{
    const std::string_view sequences[] = {
        "\n.\n",       "\n.\r\n",     "\r\n.\n",     "\r.\r",          "\r\n.\r",    "\r.\r\n",      "\r\n.\r\r\n",
        "\n.\r\r\n",   "\r\r\n.\r\r\n", "\r\n\0.\r\n"sv, "\r\n.\0\r\n"sv, "\x85.\x85", "\v.\v",        "\r\n.\r\r",
        "\n\n.\n\n",   "\r\n.\n\r\n", "\n\r.\n\r",   "\r.\n",          "\r\n. \r\n", "\r\n.\t\r\n",
    };
    for (std::string_view sequence : sequences) {
        std::string input = "Subject: x\r\n\r\nbody";
        input.append(sequence);
        input.append("MAIL FROM:<a@b>\r\n.\r\nNOOP\r\n");
        const Read read = read_at_any_cut(input);
        INFO("case " << (&sequence - sequences));
        CHECK(read.finished);
        CHECK(read.rest == "NOOP\r\n");
        CHECK(read.content.find("MAIL FROM:<a@b>\r\n") != std::string::npos);
    }
}

TEST_CASE("a NUL becomes a space, and ends no line and no message")
{
    const std::string input("a\r\n\0.\r\nb\0\r\n.\r\n", 14);
    const Read read = read_at_any_cut(input);
    CHECK(read.finished);
    CHECK(read.content == "a\r\n .\r\nb \r\n");
    CHECK_FALSE(read.facts.has_bare);
    CHECK(read_at_any_cut(std::string("\0\0a\r\0\nb\r\n.\r\n", 13)).content == "  a  \r\nb\r\n");
}

TEST_CASE("a bare LF becomes CRLF and is noted")
{
    const Read read = read_at_any_cut("Subject: x\n\nhello\nworld\n.\r\nmore\r\n.\r\n");
    CHECK(read.content == "Subject: x\r\n\r\nhello\r\nworld\r\n.\r\nmore\r\n");
    CHECK(read.bare_lf);
    CHECK(read.facts.has_bare);
    CHECK(read.facts.has_leading_dot);
}

TEST_CASE("a stray CR becomes a space")
{
    const Read read = read_at_any_cut("a\rb\r\r\nc\r\n.\r\n");
    CHECK(read.content == "a b \r\nc\r\n");
    CHECK_FALSE(read.bare_lf);
    CHECK(read.facts.has_bare);
}

TEST_CASE("content given on holds no bare CR or LF and no NUL, whatever came in")
{
    const std::string alphabet("\r\n.\0", 4);
    for (unsigned number = 0; number < 65536; ++number) {
        std::string input;
        for (unsigned rest = number, i = 0; i < 8; ++i, rest /= 4)
            input.push_back(alphabet[rest % 4]);
        const Read read = read_all(input + "\r\n.\r\n", 3);
        REQUIRE(read.finished);
        for (size_t i = 0; i < read.content.size(); ++i) {
            const bool crlf = read.content[i] == '\r' && i + 1 < read.content.size() && read.content[i + 1] == '\n';
            if (crlf)
                ++i;
            else
                REQUIRE((read.content[i] != '\r' && read.content[i] != '\n' && read.content[i] != '\0'));
        }
    }
}

TEST_CASE("with legacy line ends LF . LF ends the data too")
{
    const Read read = read_at_any_cut("a\nb\n.\nNOOP\r\n", DataReader::LineEnds::Legacy);
    CHECK(read.finished);
    CHECK(read.content == "a\r\nb\r\n");
    CHECK(read.rest == "NOOP\r\n");
}

TEST_CASE("8-bit bytes are noted apart for header and body, and a header ends at the empty line")
{
    auto facts = read_at_any_cut("Subject: \xc3\xa4\r\n\r\nx\r\n.\r\n").facts;
    CHECK(facts.has_8bit_header);
    CHECK_FALSE(facts.has_8bit_body);
    facts = read_at_any_cut("Subject: a\r\n\r\nx\xc3\xa4 and more of it\r\n.\r\n").facts;
    CHECK_FALSE(facts.has_8bit_header);
    CHECK(facts.has_8bit_body);
}

TEST_CASE("a very long line is kept whole and measured")
{
    const std::string line(100000, 'x');
    const Read read = read_all(line + "\r\n.\r\n", 4096);
    CHECK(read.content == line + "\r\n");
    CHECK(read.facts.longest_line == 100000);
}

TEST_CASE("BDAT chunks keep dots and are normalised across their borders")
{
    const std::string input = ".a\r\n..\r\nb\nc\rd\r\n";
    for (size_t piece = 1; piece <= input.size(); ++piece) {
        DataReader reader;
        std::string content;
        std::string_view rest = input;
        while (!rest.empty()) {
            std::string_view chunk = rest.substr(0, piece);
            rest.remove_prefix(chunk.size());
            while (!chunk.empty()) {
                const auto step = reader.scan_chunk(chunk);
                content.append(step.content);
                chunk.remove_prefix(step.consumed);
            }
        }
        content.append(reader.finish_chunks());
        INFO("chunks of " << piece);
        CHECK(content == ".a\r\n..\r\nb\r\nc d\r\n");
        CHECK(reader.size() == content.size());
        CHECK(reader.facts().has_leading_dot);
    }
}

TEST_CASE("the last line of BDAT content is completed")
{
    DataReader reader;
    reader.scan_chunk("abc");
    CHECK(reader.finish_chunks() == "\r\n");
    DataReader after_cr;
    CHECK(after_cr.scan_chunk("abc\r").consumed == 3);
    CHECK(after_cr.scan_chunk("\r").consumed == 1);
    CHECK(after_cr.finish_chunks() == " \r\n");
    DataReader complete;
    complete.scan_chunk("abc\r\n");
    CHECK(complete.finish_chunks().empty());
}
