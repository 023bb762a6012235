// Writing one message into its slot: see slot_message.h.
#include "lib/queue/slot_message.h"

#include "lib/base/crc32c.h"
#include "lib/base/time.h"
#include "lib/queue/disk.h"
#include "lib/queue/queue_id.h"

#include <algorithm>
#include <cerrno>
#include <coroutine>
#include <functional>
#include <sys/stat.h>

namespace posthouse::queue {

namespace {

// Somebody may have removed the folder with the file in it: nobody would find the message again.
Result<void> still_has_a_name(int fd)
{
    struct stat about {};
    if (::fstat(fd, &about) != 0)
        return disk_error("examine queue file", errno);
    if (about.st_nlink == 0)
        return Error(ErrorKind::Temporary, "4.3.0", "Queue file write error").because_of(
            Error(ErrorKind::Temporary, "the queue file was removed"));
    return Result<void>();
}

} // namespace

struct SlotMessage::Commit {
    std::shared_ptr<File> file;
    Disk* disk = nullptr;
    CommitImage image;
    std::string content_tail;
    uint64_t content_tail_offset = 0;
    CommittedMessage message;
    std::shared_ptr<SlotOwner> owner;
    std::optional<Result<void>> result;
    bool broken = false;
    std::coroutine_handle<> waiter; // the loop's

    void run() // in a thread
    {
        result.emplace(write_commit(*disk, file->fd.get(), image, content_tail, content_tail_offset));
        if (*result)
            result.emplace(still_has_a_name(file->fd.get()));
        if (!*result) {
            // What was not acknowledged should not come back as a message. If this write is lost as well it
            // may: a duplicate then.
            broken = result->error().dsn() != "4.3.1" || !write_free(*disk, file->fd.get());
        }
        file->fd.reset(); // the lock falls before anybody hears of the message
    }
    void tell() // on the loop
    {
        owner->commit_ended();
        if (*result)
            owner->slot_committed(std::move(message));
        else
            owner->slot_dropped(message.number, broken);
        owner.reset();
        if (auto handle = std::exchange(waiter, nullptr))
            handle.resume();
    }
};

namespace {

// Unlike in_pool: the end is told to the owner even when nobody waits any more.
class CommitAwaiter {
public:
    CommitAwaiter(ThreadPool& threads, std::shared_ptr<SlotMessage::Commit> commit)
        : threads_(threads), commit_(std::move(commit))
    {
    }
    ~CommitAwaiter() { commit_->waiter = nullptr; }
    CommitAwaiter(const CommitAwaiter&) = delete;
    CommitAwaiter& operator=(const CommitAwaiter&) = delete;

    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter)
    {
        commit_->waiter = waiter;
        threads_.submit([commit = commit_] { commit->run(); }, [commit = commit_] { commit->tell(); });
    }
    Result<void> await_resume() const { return *commit_->result; }

private:
    ThreadPool& threads_;
    std::shared_ptr<SlotMessage::Commit> commit_;
};

CommitAwaiter run_commit(ThreadPool& threads, std::shared_ptr<SlotMessage::Commit> commit)
{
    return CommitAwaiter(threads, std::move(commit));
}

} // namespace

SlotMessage::SlotMessage(std::shared_ptr<SlotOwner> owner, ThreadPool& threads, Disk& disk, LeasedSlot slot,
                         UniqueFd file, SlotMessageLimits limits)
    : owner_(std::move(owner)), threads_(threads), disk_(disk), slot_(slot),
      file_(std::make_shared<File>(std::move(file))), limits_(limits), arrival_us_(wall_clock_us()),
      // A clock that was set back must not give an id that this slot had before.
      id_us_(std::max(arrival_us_, slot.not_before_us)), id_(make_id(id_us_, slot.number))
{
    content_.offset = header_size;
}

SlotMessage::~SlotMessage()
{
    if (!file_)
        return;
    const uint64_t written = header_size + content_.size - buffer_.size();
    if (!writing_ && !failed_ && written <= limits_.slot_size) {
        owner_->slot_returned(LeasedSlot(slot_.number, id_us_ + 1), std::move(file_->fd));
        return;
    }
    file_.reset();
    owner_->slot_dropped(slot_.number, broken_);
}

Task<Result<void>> SlotMessage::append(std::string_view content)
{
    if (failed_)
        co_return *failed_;
    content_.crc32c = crc32c(content_.crc32c, content);
    content_.size += content.size();
    buffer_.append(content);
    if (buffer_.size() >= limits_.buffer)
        CO_CHECK(co_await write_out());
    co_return Result<void>();
}

Task<Result<void>> SlotMessage::write_out()
{
    const uint64_t offset = header_size + content_.size - buffer_.size();
    std::function<Result<void>()> write = [file = file_, disk = &disk_, offset,
                                           bytes = std::exchange(buffer_, std::string())] {
        return write_content(*disk, file->fd.get(), bytes, offset);
    };
    writing_ = true;
    auto written = co_await in_pool(threads_, std::move(write));
    writing_ = false;
    if (!written) {
        failed_ = written.error();
        broken_ = failed_->dsn() != "4.3.1";
    }
    co_return written;
}

Task<Result<void>> SlotMessage::commit(mail::Envelope envelope, smtp::ContentFacts facts, Deadline)
{
    if (failed_)
        co_return *failed_;
    envelope.id = id_;
    envelope.arrival_us = arrival_us_;
    content_.facts = facts;
    auto work = std::make_shared<Commit>();
    work->disk = &disk_;
    work->image = make_commit_image(slot_.number, id_us_, envelope, content_);
    work->content_tail_offset = header_size + content_.size - buffer_.size();
    work->content_tail = std::exchange(buffer_, std::string());
    work->message.number = slot_.number;
    work->message.content = content_;
    work->message.states_offset = work->image.tail_offset + work->image.tail.size() - envelope.recipients.size();
    work->message.envelope = std::move(envelope);
    work->file = std::exchange(file_, nullptr);
    work->owner = owner_;
    owner_->commit_started();
    co_return co_await run_commit(threads_, std::move(work));
}

} // namespace posthouse::queue
