// Messages that wait for milters, see milter_spool.h.
#include "smtpd/milter_spool.h"

#include "lib/base/cat.h"
#include "lib/base/file.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <functional>
#include <mutex>
#include <unistd.h>

namespace posthouse::smtpd {

struct SpoolFile::State {
    // What a busy hour has left is given back when nothing is in use.
    static constexpr uint64_t most_kept = 64 << 20;

    UniqueFd fd;
    std::mutex mutex; // blocks are let go of in the pool, too
    std::vector<uint64_t> free;
    uint64_t blocks = 0; // that the file has
    uint64_t in_use = 0;

    uint64_t take()
    {
        const std::lock_guard lock(mutex);
        ++in_use;
        if (free.empty())
            return blocks++;
        const uint64_t number = free.back();
        free.pop_back();
        return number;
    }
    void give_back(uint64_t number)
    {
        const std::lock_guard lock(mutex);
        free.push_back(number);
        if (--in_use > 0 || blocks * block_size <= most_kept || ::ftruncate(fd.get(), 0) != 0)
            return;
        free.clear();
        blocks = 0;
    }
};

class SpoolFile::Block {
public:
    explicit Block(std::shared_ptr<State> state) : state_(std::move(state)), number_(state_->take()) {}
    ~Block() { state_->give_back(number_); }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;

    int fd() const { return state_->fd.get(); }
    uint64_t offset() const { return number_ * block_size; }

private:
    std::shared_ptr<State> state_; // owners: see SpoolFile
    const uint64_t number_;
};

Result<std::unique_ptr<SpoolFile>> SpoolFile::open(const std::string& directory, ThreadPool& pool)
{
    auto state = std::make_shared<State>();
    state->fd = UniqueFd(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!state->fd) { // a file system that has no nameless files
        std::string name = cat(directory, "/.milter-XXXXXX");
        state->fd = UniqueFd(::mkostemp(name.data(), O_CLOEXEC));
        if (!state->fd)
            return Error::system(cat("make a file in ", directory), errno);
        (void)::unlink(name.c_str()); // at worst, an empty file is left
    }
    return std::unique_ptr<SpoolFile>(new SpoolFile(std::move(state), pool));
}

Task<Result<void>> Spooled::append(std::string_view piece)
{
    while (tail_.size() + piece.size() > SpoolFile::block_size) {
        const size_t room = SpoolFile::block_size - tail_.size();
        tail_.append(piece.substr(0, room));
        piece.remove_prefix(room);
        CO_CHECK(co_await write_block());
    }
    tail_.append(piece);
    co_return Result<void>();
}

Task<Result<void>> Spooled::write_block()
{
    auto block = std::make_shared<SpoolFile::Block>(file_.state_);
    std::function<Result<void>()> write = [block, bytes = std::exchange(tail_, std::string())] {
        return pwrite_all(block->fd(), bytes, block->offset());
    };
    auto written = co_await in_pool(file_.pool_, std::move(write));
    if (!written) {
        const bool full = written.error().errno_value() == ENOSPC || written.error().errno_value() == EDQUOT;
        co_return Error(ErrorKind::Temporary, full ? "4.3.1" : "4.3.0", "Error: queue file write error")
            .because_of(std::move(written.error()));
    }
    blocks_.push_back(std::move(block));
    co_return Result<void>();
}

Task<Result<std::string>> Spooled::read(uint64_t offset, size_t most)
{
    const size_t number = static_cast<size_t>(offset / SpoolFile::block_size);
    const size_t within = static_cast<size_t>(offset % SpoolFile::block_size);
    if (number > blocks_.size() || (number == blocks_.size() && within >= tail_.size()))
        co_return std::string();
    if (number == blocks_.size())
        co_return tail_.substr(within, most);
    const size_t count = std::min(most, SpoolFile::block_size - within);
    std::function<Result<std::string>()> fetch = [block = blocks_[number], within, count]() -> Result<std::string> {
        std::string bytes(count, '\0');
        auto got = pread_full(block->fd(), bytes.data(), count, block->offset() + within);
        if (!got || *got != count)
            return Error(ErrorKind::Temporary, "4.3.0", "Error: queue file read error");
        return bytes;
    };
    co_return co_await in_pool(file_.pool_, std::move(fetch));
}

void HeldMessage::replace(std::string header, std::unique_ptr<Spooled> body, uint64_t offset, bool line_open)
{
    header_ = std::move(header);
    if (body)
        content_ = std::move(body);
    offset_ = offset;
    line_open_ = line_open;
}

Task<Result<void>> HeldMessage::commit(mail::Envelope envelope, smtp::ContentFacts facts, Deadline deadline)
{
    if (!header_.empty())
        CO_CHECK(co_await message_->append(header_));
    while (offset_ < content_->size()) {
        auto piece = co_await content_->read(offset_, SpoolFile::block_size);
        if (!piece)
            co_return std::move(piece.error());
        offset_ += piece->size();
        CO_CHECK(co_await message_->append(*piece));
    }
    if (line_open_)
        CO_CHECK(co_await message_->append("\r\n"));
    co_return co_await message_->commit(std::move(envelope), facts, deadline);
}

} // namespace posthouse::smtpd
