// Where messages are kept until milters have seen them whole, or a proxy filter gets them whole. A queue file cannot be read again by the process that writes
// it (it may hold what is left of somebody else's mail), so what is too large for memory goes to one nameless file of this
// process, in blocks. Nothing there is worth a sync: the message is not acknowledged yet.
#pragma once

#include "lib/base/result.h"
#include "lib/event/task.h"
#include "lib/event/thread_pool.h"
#include "lib/queue/new_message.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::smtpd {

// One for each process, opened before it gives its privileges up.
class SpoolFile {
public:
    static constexpr size_t block_size = 65535; // one piece of a body as milters are sent it

    static Result<std::unique_ptr<SpoolFile>> open(const std::string& directory, ThreadPool& pool);

    struct State; // shared with the functions in the pool
    class Block;

private:
    friend class Spooled;
    SpoolFile(std::shared_ptr<State> state, ThreadPool& pool) : state_(std::move(state)), pool_(pool) {}

    std::shared_ptr<State> state_; // owners: this, and each block in use
    ThreadPool& pool_;
};

// Bytes that can be read again: up to a block of them in memory, the others in the file.
class Spooled {
public:
    explicit Spooled(SpoolFile& file) : file_(file) {}
    Spooled(const Spooled&) = delete;
    Spooled& operator=(const Spooled&) = delete;

    uint64_t size() const { return blocks_.size() * SpoolFile::block_size + tail_.size(); }
    // Errors are Temporary, 4.3.0 or 4.3.1 (disk full). `piece` must stay valid until the task ends.
    Task<Result<void>> append(std::string_view piece);
    // Some bytes from `offset` on, at most `most`; none only at the end.
    Task<Result<std::string>> read(uint64_t offset, size_t most);

private:
    Task<Result<void>> write_block();

    SpoolFile& file_;
    std::vector<std::shared_ptr<SpoolFile::Block>> blocks_; // owners: this, and a function that writes or reads it
    std::string tail_;
};

// A message whose content is held back until commit(), so that milters may put another in its place.
class HeldMessage final : public queue::NewMessage {
public:
    HeldMessage(std::unique_ptr<queue::NewMessage> message, SpoolFile& file)
        : message_(std::move(message)), file_(file), content_(std::make_unique<Spooled>(file))
    {
    }

    const std::string& id() const override { return message_->id(); }
    int64_t arrival_us() const override { return message_->arrival_us(); }
    uint64_t size() const override { return message_->size() > 0 ? message_->size() : content_->size(); }
    Task<Result<void>> append(std::string_view piece) override { co_return co_await content_->append(piece); }
    Task<Result<void>> commit(mail::Envelope envelope, smtp::ContentFacts facts, Deadline deadline) override;

    Spooled& content() { return *content_; }
    std::unique_ptr<Spooled> new_content() { return std::make_unique<Spooled>(file_); }
    // What is committed: `header`, then `body` from `offset` on, and the end of its last line. A null body is content().
    void replace(std::string header, std::unique_ptr<Spooled> body, uint64_t offset, bool line_open);

private:
    std::unique_ptr<queue::NewMessage> message_;
    SpoolFile& file_;
    std::unique_ptr<Spooled> content_;
    std::string header_;
    uint64_t offset_ = 0;
    bool line_open_ = false;
};

} // namespace posthouse::smtpd
