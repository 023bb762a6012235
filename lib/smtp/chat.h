// Chat: lines, replies and content over a ByteStream, for both sides of SMTP and LMTP. The one place where
// line ends are read and written.
//
// An idle Chat owns no buffer: one is taken when input has arrived, and given back before the next wait when
// it is empty. Views returned are valid until the next call that reads.
// Owner: the session. One reader and one writer at a time, as for the stream.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/event/byte_stream.h"
#include "lib/event/task.h"
#include "lib/smtp/data_reader.h"
#include "lib/smtp/reply.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace posthouse::smtp {

struct ChatLimits {
    ChatLimits() = default;
    size_t command_line = 2048;   // line_length_limit
    size_t skip_at_most = 65536;  // of an over-long line, before the session is given up
    size_t queued_output = 16384; // replies to pipelined commands are flushed above this
    ReplyLimits reply;
};

class CommandLine {
public:
    CommandLine() = default;
    explicit CommandLine(std::string its_line) : line(std::move(its_line)) {}

    std::string line;       // without line end; cut when too_long
    bool too_long = false;  // the rest of the line was read and dropped
    bool bare_lf = false;   // ended by LF without CR
    bool has_nul = false;
    bool pipelined = false; // more input was there already

    std::string_view verb() const;     // "MAIL"; as the client wrote it
    std::string_view argument() const; // "FROM:<a@b> SIZE=1"; blanks trimmed at both ends
};

class DataChunk {
public:
    DataChunk(std::string_view its_content, bool is_finished) : content(its_content), finished(is_finished) {}
    std::string_view content; // valid until the next read
    bool finished;
};

class Chat {
public:
    explicit Chat(ByteStream& stream, const ChatLimits& limits = ChatLimits());
    ~Chat();
    Chat(const Chat&) = delete;
    Chat& operator=(const Chat&) = delete;

    // ---- server
    // Disconnected at the end of input; TimedOut; Permanent 5.5.2 when a line has no end.
    Task<Result<CommandLine>> read_command(Deadline deadline);
    // The same with another limit: AUTH continuation lines.
    Task<Result<CommandLine>> read_line(size_t limit, Deadline deadline);
    // Queued; flushed only when no complete further command is buffered.
    Task<Result<void>> send(const Reply& reply, Deadline deadline);
    Task<Result<DataChunk>> read_data(DataReader& reader, Deadline deadline);
    // BDAT: `left` is the number of bytes of the chunk still to come and is counted down; finished when 0.
    Task<Result<DataChunk>> read_bdat(DataReader& reader, uint64_t& left, Deadline deadline);

    // ---- client
    Task<Result<Reply>> read_reply(Deadline deadline);

    // ---- both
    void queue(std::string_view bytes) { output_.append(bytes); }
    std::string& output() { return output_; } // to build content in place, then flush
    Task<Result<void>> flush(Deadline deadline);
    // Sends what is queued, then `bytes` without copying them.
    Task<Result<void>> write(std::string_view bytes, Deadline deadline);

    bool has_buffered_input() const { return begin_ != end_; }
    bool has_complete_line() const;
    // Drops input that has arrived already (STARTTLS) and says how much it was.
    size_t discard_buffered();
    // Overwrites what has been read of input already: it held a password. Views returned before are void.
    void wipe_spent();
    // From now on over this stream (TLS over the old one). Input must have been discarded.
    void switch_to(ByteStream& stream) { stream_ = &stream; }
    ByteStream& stream() { return *stream_; }

private:
    std::string_view buffered() const { return std::string_view(buffer_.get() + begin_, end_ - begin_); }
    void consume(size_t count);
    void make_room(size_t count);
    void release_if_empty();
    Task<Result<void>> read_more(Deadline deadline);
    Task<Result<void>> skip_line(Deadline deadline);

    ByteStream* stream_;
    ChatLimits limits_;
    std::unique_ptr<char[]> buffer_;
    size_t capacity_ = 0;
    size_t begin_ = 0;
    size_t end_ = 0;
    std::string output_;
};

} // namespace posthouse::smtp
