// Lines, replies and content over a stream: see chat.h.
#include "lib/smtp/chat.h"

#include "lib/base/ascii.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace posthouse::smtp {

namespace {

// Where all chats of a thread read into. A stream fills it in the very step that ends its read_some, and
// the reader takes the bytes out before anything else runs: so one is enough, and waiting costs no buffer.
constexpr size_t scratch_size = 65536;
char* scratch()
{
    thread_local const std::unique_ptr<char[]> bytes(new char[scratch_size]);
    return bytes.get();
}

constexpr size_t no_small_string = 64;
constexpr size_t small_output = 512; // what an idle session may keep

} // namespace

std::string_view CommandLine::verb() const
{
    const std::string_view text = ascii::trim(line);
    return text.substr(0, text.find_first_of(" \t"));
}

std::string_view CommandLine::argument() const
{
    const std::string_view text = ascii::trim(line);
    return ascii::trim(text.substr(verb().size()));
}

Chat::Chat(ByteStream& stream, const ChatLimits& limits) : stream_(&stream), limits_(limits) {}

Chat::~Chat() = default;

// ---- the input buffer

void Chat::make_room(size_t count)
{
    const size_t used = end_ - begin_;
    if (used + count <= capacity_) {
        if (end_ + count > capacity_) {
            std::memmove(buffer_.get(), buffer_.get() + begin_, used);
            begin_ = 0;
            end_ = used;
        }
        return;
    }
    const size_t capacity = used + count;
    std::unique_ptr<char[]> larger(new char[capacity]);
    if (used > 0) {
        std::memcpy(larger.get(), buffer_.get() + begin_, used);
        explicit_bzero(buffer_.get() + begin_, used); // half a line: may be half a password
    }
    buffer_ = std::move(larger);
    capacity_ = capacity;
    begin_ = 0;
    end_ = used;
}

void Chat::consume(size_t count)
{
    begin_ += count;
    if (begin_ == end_)
        begin_ = end_ = 0;
}

void Chat::release_if_empty()
{
    if (begin_ != end_)
        return;
    buffer_.reset();
    capacity_ = begin_ = end_ = 0;
}

Task<Result<void>> Chat::read_more(Deadline deadline)
{
    if (!output_.empty())
        CO_CHECK(co_await flush(deadline)); // the peer may wait for it
    release_if_empty();
    auto got = co_await stream_->read_some(scratch(), scratch_size, deadline);
    if (!got)
        co_return std::move(got.error());
    if (*got == 0)
        co_return Error::disconnected("lost connection");
    make_room(*got);
    std::memcpy(buffer_.get() + end_, scratch(), *got);
    end_ += *got;
    co_return Result<void>();
}

bool Chat::has_complete_line() const { return buffered().find('\n') != std::string_view::npos; }

size_t Chat::discard_buffered()
{
    const size_t count = end_ - begin_;
    consume(count);
    return count;
}

void Chat::wipe_spent()
{
    explicit_bzero(scratch(), scratch_size);
    if (!buffer_)
        return;
    explicit_bzero(buffer_.get(), begin_);
    explicit_bzero(buffer_.get() + end_, capacity_ - end_);
}

// ---- lines

Task<Result<CommandLine>> Chat::read_command(Deadline deadline) { return read_line(limits_.command_line, deadline); }

Task<Result<CommandLine>> Chat::read_line(size_t limit, Deadline deadline)
{
    CommandLine command;
    command.line.reserve(no_small_string); // so that moving it leaves no copy behind: it may be a password
    while (true) {
        const std::string_view input = buffered();
        const size_t lf = input.find('\n');
        const size_t length = std::min(lf, input.size());
        if (length > limit + 1) { // one more may be the CR
            command.line = input.substr(0, limit);
            command.too_long = true;
            CO_CHECK(co_await skip_line(deadline));
            break;
        }
        if (lf != std::string_view::npos) {
            const bool has_cr = lf > 0 && input[lf - 1] == '\r';
            command.bare_lf = !has_cr;
            command.line = input.substr(0, has_cr ? lf - 1 : lf);
            command.too_long = command.line.size() > limit;
            consume(lf + 1);
            break;
        }
        CO_CHECK(co_await read_more(deadline));
    }
    command.has_nul = command.line.find('\0') != std::string::npos;
    command.pipelined = has_buffered_input();
    co_return command;
}

// Drops input up to and with the next LF: what follows on an over-long line is never taken for a command.
Task<Result<void>> Chat::skip_line(Deadline deadline)
{
    size_t skipped = 0;
    while (true) {
        const std::string_view input = buffered();
        const size_t lf = input.find('\n');
        if (lf != std::string_view::npos) {
            consume(lf + 1);
            co_return Result<void>();
        }
        skipped += input.size();
        consume(input.size());
        if (skipped > limits_.skip_at_most)
            break;
        CO_CHECK(co_await read_more(deadline));
    }
    co_return Error(ErrorKind::Permanent, "5.5.2", "line without an end");
}

Task<Result<Reply>> Chat::read_reply(Deadline deadline)
{
    ReplyParser parser(limits_.reply);
    while (true) {
        auto line = co_await read_line(limits_.reply.line, deadline);
        if (!line)
            co_return std::move(line.error());
        auto last = parser.line(line->line);
        if (!last)
            co_return std::move(last.error());
        if (*last)
            co_return std::move(parser.reply());
    }
}

// ---- content

Task<Result<DataChunk>> Chat::read_data(DataReader& reader, Deadline deadline)
{
    bool has_new = has_buffered_input();
    while (true) {
        if (has_new) {
            const DataReader::Step step = reader.scan(buffered());
            consume(step.consumed);
            if (step.finished || !step.content.empty())
                co_return DataChunk(step.content, step.finished);
        }
        CO_CHECK(co_await read_more(deadline));
        has_new = true;
    }
}

Task<Result<DataChunk>> Chat::read_bdat(DataReader& reader, uint64_t& left, Deadline deadline)
{
    while (left > 0) {
        if (has_buffered_input()) {
            const DataReader::Step step = reader.scan_chunk(buffered().substr(0, left));
            consume(step.consumed);
            left -= step.consumed;
            if (left == 0 || !step.content.empty())
                co_return DataChunk(step.content, left == 0);
            continue;
        }
        CO_CHECK(co_await read_more(deadline));
    }
    co_return DataChunk(std::string_view(), true);
}

// ---- output

Task<Result<void>> Chat::send(const Reply& reply, Deadline deadline)
{
    reply.append_wire(output_);
    if (output_.size() < limits_.queued_output && has_complete_line())
        co_return Result<void>();
    CO_CHECK(co_await flush(deadline));
    co_return Result<void>();
}

Task<Result<void>> Chat::flush(Deadline deadline)
{
    if (output_.empty())
        co_return Result<void>();
    std::string sending = std::exchange(output_, std::string());
    CO_CHECK(co_await stream_->write_all(sending, deadline));
    if (output_.empty() && sending.capacity() <= small_output) {
        sending.clear();
        output_ = std::move(sending);
    }
    co_return Result<void>();
}

Task<Result<void>> Chat::write(std::string_view bytes, Deadline deadline)
{
    CO_CHECK(co_await flush(deadline));
    CO_CHECK(co_await stream_->write_all(bytes, deadline));
    co_return Result<void>();
}

} // namespace posthouse::smtp
