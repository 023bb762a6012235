// qmgr's end of the lease protocol: see lease_desk.h.
#include "lib/queue/lease_desk.h"

#include "lib/base/cat.h"
#include "lib/ipc/channel.h"
#include "lib/log/log.h"

#include <algorithm>

namespace posthouse::queue {

namespace {

constexpr Duration hello_timeout = Duration::seconds(10);

// What was leased is examined however the task ends.
class HolderGuard {
public:
    HolderGuard(SlotPool& pool, HolderId holder) : pool_(pool), holder_(holder) {}
    ~HolderGuard() { pool_.holder_gone(holder_); }
    HolderGuard(const HolderGuard&) = delete;
    HolderGuard& operator=(const HolderGuard&) = delete;

private:
    SlotPool& pool_;
    HolderId holder_;
};

} // namespace

Task<void> LeaseDesk::serve(std::unique_ptr<ipc::Channel> channel)
{
    const HolderId holder = ++last_holder_;
    auto first = co_await channel->receive(Deadline::after(hello_timeout));
    if (!first)
        co_return;
    const auto hello = LeaseHello::from_frame(*first);
    if (!hello) {
        log::warning("lease protocol: ", hello.error().full_text());
        co_return;
    }
    co_await pool_.listed();
    const HolderGuard guard(pool_, holder);
    pool_.claim(holder, hello->held);
    while (true) {
        auto frame = co_await channel->receive(Deadline::never()); // an idle holder is normal
        if (!frame)
            co_return;
        auto handled = co_await handle(*channel, holder, *frame);
        if (!handled) {
            log::warning("lease protocol: ", hello->role, " [", hello->pid, "]: ", handled.error().full_text());
            co_return;
        }
    }
}

Task<Result<void>> LeaseDesk::handle(ipc::Channel& channel, HolderId holder, const ipc::Frame& frame)
{
    if (frame.type == LeaseRequest::type) {
        const auto request = LeaseRequest::from_frame(frame);
        if (!request)
            co_return request.error();
        co_return co_await give(channel, holder, request->count);
    }
    if (frame.type == Committed::type) {
        auto committed = Committed::from_frame(frame);
        if (!committed)
            co_return std::move(committed.error());
        for (CommittedMessage& message : committed->messages)
            CO_CHECK(pool_.committed(holder, std::move(message)));
        co_return Result<void>();
    }
    const auto dropped = Dropped::from_frame(frame);
    if (!dropped)
        co_return dropped.error();
    for (const DroppedLease& lease : dropped->leases)
        CO_CHECK(pool_.dropped(holder, lease.number, lease.broken));
    co_return Result<void>();
}

Task<Result<void>> LeaseDesk::give(ipc::Channel& channel, HolderId holder, uint32_t count)
{
    if (stopped_) {
        const LeaseRefused refusal("4.3.2", "the mail system is stopping");
        co_return channel.post(refusal.to_frame());
    }
    auto files = co_await pool_.lease(count, holder);
    if (!files) {
        const LeaseRefused refusal(std::string(files.error().dsn()), files.error().text());
        co_return channel.post(refusal.to_frame());
    }
    Lease lease;
    lease.slot_size = pool_.slot_size();
    lease.free_bytes = pool_.free_bytes();
    for (const LeasedFile& file : *files)
        lease.slots.push_back(file.slot);
    ipc::Frame frame = lease.to_frame();
    for (LeasedFile& file : *files)
        frame.fds.push_back(std::move(file.file));
    co_return channel.post(std::move(frame));
}

} // namespace posthouse::queue
