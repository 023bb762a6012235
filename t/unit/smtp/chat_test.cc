// Lines, replies and content over a stream that trickles.
#include "lib/smtp/chat.h"
#include "t/support/catch.h"
#include "t/support/memory_stream.h"
#include "t/support/run_task.h"

using namespace posthouse;
using namespace posthouse::smtp;
using test::MemoryStream;

namespace {

const Deadline forever = Deadline::never();

// Reads commands until the end of input; replies to each with its number.
Task<std::vector<CommandLine>> read_commands(Chat& chat)
{
    std::vector<CommandLine> commands;
    while (true) {
        auto command = co_await chat.read_command(forever);
        if (!command)
            co_return commands;
        commands.push_back(std::move(*command));
        const Reply reply(250, "2.0.0", "Ok");
        (void)co_await chat.send(reply, forever); // the stream of these tests takes everything
    }
}

std::vector<CommandLine> commands_of(std::string input, size_t piece, MemoryStream** stream_out = nullptr)
{
    static Loop loop;
    static std::unique_ptr<MemoryStream> stream;
    stream = std::make_unique<MemoryStream>(loop, std::move(input), piece);
    Chat chat(*stream);
    auto commands = test::run_task(loop, read_commands(chat));
    if (stream_out)
        *stream_out = stream.get();
    return commands;
}

} // namespace

TEST_CASE("commands come whole, a byte at a time or all at once")
{
    for (size_t piece : {1u, 2u, 3u, 7u, 1000u}) {
        const auto commands = commands_of("EHLO a\r\nMAIL FROM:<x@y>  \r\nquit\r\n", piece);
        REQUIRE(commands.size() == 3);
        CHECK(commands[1].verb() == "MAIL");
        CHECK(commands[1].argument() == "FROM:<x@y>");
        CHECK(commands[2].verb() == "quit");
        CHECK_FALSE(commands[2].bare_lf);
    }
}

TEST_CASE("replies to pipelined commands leave in one write, and each alone when commands come alone")
{
    MemoryStream* stream = nullptr;
    commands_of("RSET\r\nNOOP\r\nNOOP\r\nQUIT\r\n", 1000, &stream);
    CHECK(stream->writes == 1);
    commands_of("RSET\r\nNOOP\r\n", 6, &stream);
    CHECK(stream->writes == 2);
}

TEST_CASE("a bare LF, a NUL and pipelining are seen")
{
    const auto commands = commands_of(std::string("NOOP\nA\0B\r\nRSET\r\n", 16), 1000);
    REQUIRE(commands.size() == 3);
    CHECK(commands[0].bare_lf);
    CHECK(commands[0].pipelined);
    CHECK(commands[1].has_nul);
    CHECK_FALSE(commands[2].pipelined);
}

TEST_CASE("an over-long command line is flagged and its tail never executed")
{
    for (size_t piece : {1u, 1000u, 5000u, 100000u}) {
        const std::string input = "NOOP " + std::string(5000, 'x') + " \rRCPT TO:<a@b>\r\nQUIT\r\n";
        const auto commands = commands_of(input, piece);
        REQUIRE(commands.size() == 2);
        CHECK(commands[0].too_long);
        CHECK(commands[1].line == "QUIT");
    }
}

TEST_CASE("a line of exactly the limit is taken, one byte more is not")
{
    auto commands = commands_of(std::string(2048, 'x') + "\r\n", 1000);
    REQUIRE(commands.size() == 1);
    CHECK_FALSE(commands[0].too_long);
    commands = commands_of(std::string(2049, 'x') + "\r\n" + "RSET\r\n", 1000);
    REQUIRE(commands.size() == 2);
    CHECK(commands[0].too_long);
    CHECK(commands[1].line == "RSET");
}

TEST_CASE("a command line without an end is given up after 64 KiB")
{
    Loop loop;
    MemoryStream stream(loop, std::string(1000000, 'x'), 4096);
    Chat chat(stream);
    auto command = test::run_task(loop, chat.read_command(forever));
    REQUIRE_FALSE(command);
    CHECK(command.error().permanent());
    CHECK(stream.reads < 25);
}

namespace {
Task<std::string> read_message(Chat& chat, DataReader& reader)
{
    std::string content;
    while (true) {
        auto chunk = co_await chat.read_data(reader, forever);
        if (!chunk)
            co_return std::string("error");
        content.append(chunk->content);
        if (chunk->finished)
            co_return content;
    }
}
Task<std::string> read_chunk(Chat& chat, DataReader& reader, uint64_t size)
{
    std::string content;
    while (true) {
        auto chunk = co_await chat.read_bdat(reader, size, forever);
        if (!chunk)
            co_return std::string("error");
        content.append(chunk->content);
        if (chunk->finished)
            co_return content;
    }
}
} // namespace

TEST_CASE("content is read through the chat at any segment boundary, and the next command follows it")
{
    const std::string input = "Subject: x\r\n\r\n..dot\r\nbare\nLF\r\n.\r\nQUIT\r\n";
    for (size_t piece = 1; piece <= input.size(); ++piece) {
        Loop loop;
        MemoryStream stream(loop, input, piece);
        Chat chat(stream);
        DataReader reader;
        CHECK(test::run_task(loop, read_message(chat, reader)) == "Subject: x\r\n\r\n.dot\r\nbare\r\nLF\r\n");
        auto command = test::run_task(loop, chat.read_command(forever));
        REQUIRE(command);
        CHECK(command->line == "QUIT");
    }
}

TEST_CASE("a BDAT chunk is taken by its length, whatever it holds")
{
    const std::string input = "QUIT\r\n.\r\nab\rBDAT 2\r\nxyNOOP\r\n";
    for (size_t piece = 1; piece <= input.size(); ++piece) {
        Loop loop;
        MemoryStream stream(loop, input, piece);
        Chat chat(stream);
        DataReader reader;
        CHECK(test::run_task(loop, read_chunk(chat, reader, 12)) == "QUIT\r\n.\r\nab");
        auto command = test::run_task(loop, chat.read_command(forever));
        REQUIRE(command);
        CHECK(command->line == "BDAT 2");
        CHECK(test::run_task(loop, read_chunk(chat, reader, 2)) == " xy");
        command = test::run_task(loop, chat.read_command(forever));
        REQUIRE(command);
        CHECK(command->line == "NOOP");
    }
}

TEST_CASE("input that came before TLS can be dropped")
{
    Loop loop;
    MemoryStream stream(loop, "STARTTLS\r\nRSET\r\n", 100);
    Chat chat(stream);
    auto command = test::run_task(loop, chat.read_command(forever));
    REQUIRE(command);
    CHECK(chat.discard_buffered() == 6);
    CHECK_FALSE(chat.has_buffered_input());
}

TEST_CASE("the client reads replies of many lines")
{
    for (size_t piece : {1u, 5u, 1000u}) {
        Loop loop;
        MemoryStream stream(loop, "250-mx\r\n250 SIZE\r\n354 go\n", piece);
        Chat chat(stream);
        auto reply = test::run_task(loop, chat.read_reply(forever));
        REQUIRE(reply);
        CHECK(reply->text == "mx\nSIZE");
        reply = test::run_task(loop, chat.read_reply(forever));
        REQUIRE(reply);
        CHECK(reply->code == 354);
        CHECK_FALSE(test::run_task(loop, chat.read_reply(forever)));
    }
}

namespace {
Task<void> serve_until_cancelled(ByteStream& stream)
{
    Chat chat(stream);
    while (true) {
        auto command = co_await chat.read_command(forever);
        if (!command)
            co_return;
        const Reply reply(250, "2.0.0", "Ok");
        (void)co_await chat.send(reply, forever);
        DataReader reader;
        auto chunk = co_await chat.read_data(reader, forever);
        if (!chunk)
            co_return;
    }
}
} // namespace

TEST_CASE("a chat can be cancelled at each of its suspensions and leaves nothing alive")
{
    const long before = task_detail::live_frames;
    for (int turns = 0; turns < 60; ++turns) {
        Loop loop;
        MemoryStream stream(loop, "NOOP\r\na\r\n.\r\nNOOP\r\n" + std::string(10, 'x'), 1);
        {
            TaskGroup group(loop);
            group.spawn(serve_until_cancelled(stream));
            for (int i = 0; i < turns; ++i)
                loop.run_once(Duration());
        }
        CHECK(task_detail::live_frames == before);
    }
}
