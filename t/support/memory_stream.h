// A ByteStream whose peer is the test: hands out given input in pieces of a given size, suspends before each
// one, and keeps what is written.
#pragma once

#include "lib/event/byte_stream.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

namespace posthouse::test {

class MemoryStream final : public ByteStream {
public:
    // piece 1: a byte at a time. When all input is read: the end of the peer's side.
    MemoryStream(Loop& loop, std::string input, size_t piece) : loop_(loop), input_(std::move(input)), piece_(piece) {}

    Task<Result<size_t>> read_some(char* into, size_t size, Deadline) override
    {
        co_await sleep_until(loop_, Instant());
        const size_t count = std::min({size, piece_, input_.size() - position_});
        if (count > 0)
            std::memcpy(into, input_.data() + position_, count);
        position_ += count;
        ++reads;
        co_return count;
    }
    Task<Result<void>> write_all(std::string_view bytes, Deadline) override
    {
        written.append(bytes);
        ++writes;
        co_return Result<void>();
    }
    Task<Result<void>> wait_readable(Deadline) override { co_return Result<void>(); }
    int fd() const override { return -1; }

    std::string written;
    size_t writes = 0;
    size_t reads = 0;

private:
    Loop& loop_;
    std::string input_;
    size_t piece_;
    size_t position_ = 0;
};

} // namespace posthouse::test
