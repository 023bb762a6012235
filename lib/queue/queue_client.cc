// The holder's end of the lease protocol: see queue_client.h and lease_protocol.h.
#include "lib/queue/queue_client.h"

#include "lib/base/cat.h"
#include "lib/event/notify.h"
#include "lib/event/task_group.h"
#include "lib/ipc/channel.h"
#include "lib/log/log.h"
#include "lib/queue/disk.h"
#include "lib/queue/lease_protocol.h"
#include "lib/queue/slot_message.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <sys/statvfs.h>
#include <unistd.h>
#include <unordered_set>
#include <vector>

namespace posthouse::queue {

namespace {

constexpr Duration connect_timeout = Duration::seconds(5);
constexpr int longest_back_off = 16; // times limits.reconnect_delay
constexpr Duration space_is_fresh = Duration::seconds(1);
constexpr Duration refusal_is_fresh = Duration::seconds(1);
// A notice with a larger envelope than this is not sent; qmgr reads the file instead.
constexpr size_t largest_notice = 1 << 20;
constexpr size_t most_bytes_in_frame = 2 << 20;
// Notices that may lie unread in the socket of a qmgr that dies, or be known to it alone.
constexpr size_t most_remembered = 1000;

struct HeldLease {
    LeasedSlot slot;
    UniqueFd file;
};

size_t size_estimate(const mail::Envelope& envelope)
{
    size_t size = 512 + envelope.sender.size() + envelope.envid.size() + envelope.helo.size() +
                  envelope.client_name.size() + envelope.sasl_username.size() + envelope.sasl_sender.size() +
                  envelope.content_filter.size();
    for (const mail::Recipient& recipient : envelope.recipients)
        size += 16 + recipient.address.size() + recipient.original.size() + recipient.orcpt.size();
    return size;
}

} // namespace

struct QueueClient::Impl final : SlotOwner, std::enable_shared_from_this<QueueClient::Impl> {
    Impl(Loop& its_loop, ThreadPool& its_threads, std::string path, std::string its_role, QueueClientLimits its_limits)
        : loop(its_loop), threads(its_threads), socket_path(std::move(path)), role(std::move(its_role)),
          limits(its_limits), target(its_limits.fewest_leases), slot_size(its_limits.slot_size),
          changed(its_loop),
          tasks(std::make_unique<TaskGroup>(its_loop))
    {
    }

    Loop& loop;
    ThreadPool& threads;
    const std::string socket_path;
    const std::string role;
    const QueueClientLimits limits;

    std::deque<HeldLease> ready;
    std::unordered_set<uint64_t> in_use; // numbers of leases that a message has
    size_t target;                       // leases wanted in hand
    size_t requested = 0;                // asked for on this connection, not yet answered
    size_t commits = 0;                  // under way
    std::vector<CommittedMessage> notices; // not yet posted
    std::vector<DroppedLease> drops;
    std::deque<uint64_t> told; // slots of the last notices that were posted
    bool flush_posted = false;

    std::unique_ptr<ipc::Channel> channel; // null while not connected
    std::optional<LeaseRefused> refused;   // the last answer, when it was that
    Instant refused_at;
    uint64_t slot_size;
    uint64_t free_bytes = UINT64_MAX;
    Instant free_bytes_until;

    Event changed; // leases came, were refused, or the connection ended
    bool started = false;
    std::unique_ptr<TaskGroup> tasks; // last; reset by the client's destructor

    // ---- SlotOwner
    void commit_started() override { ++commits; }
    void commit_ended() override { --commits; }
    void slot_committed(CommittedMessage message) override;
    void slot_returned(LeasedSlot slot, UniqueFd file) override;
    void slot_dropped(uint64_t number, bool broken) override;

    Task<void> run();
    Task<Error> talk();
    Result<void> say_hello();
    void remember(const Committed& frame);
    void remind();
    Result<void> take(ipc::Frame frame);
    Result<void> take_lease(ipc::Frame& frame);
    void request_more();
    void flush_soon();
    void flush();
    std::unique_ptr<NewMessage> new_message();
    Error why_no_lease() const;
};

// ---- how messages end

void QueueClient::Impl::slot_committed(CommittedMessage message)
{
    in_use.erase(message.number);
    if (size_estimate(message.envelope) > largest_notice)
        drops.emplace_back(message.number, false); // qmgr looks into the file and finds it
    else
        notices.push_back(std::move(message));
    flush_soon();
}

void QueueClient::Impl::slot_returned(LeasedSlot slot, UniqueFd file)
{
    in_use.erase(slot.number);
    ready.push_back(HeldLease{slot, std::move(file)});
    changed.notify_one();
}

void QueueClient::Impl::slot_dropped(uint64_t number, bool broken)
{
    in_use.erase(number);
    drops.emplace_back(number, broken);
    flush_soon();
}

// What ends in one turn of the loop leaves in one frame.
void QueueClient::Impl::flush_soon()
{
    if (std::exchange(flush_posted, true))
        return;
    loop.post([self = shared_from_this()] {
        self->flush_posted = false;
        self->flush();
    });
}

// What cannot be posted ends the connection: the next one begins with it.
void QueueClient::Impl::flush()
{
    while (channel && !notices.empty()) {
        Committed frame;
        auto next = notices.begin();
        for (size_t bytes = 0; next != notices.end() && frame.messages.size() < most_slots_in_frame; ++next) {
            bytes += size_estimate(next->envelope);
            if (bytes > most_bytes_in_frame && !frame.messages.empty())
                break;
            frame.messages.push_back(std::move(*next));
        }
        if (!channel->post_or_end(frame.to_frame())) {
            std::move(frame.messages.begin(), frame.messages.end(), notices.begin());
            return;
        }
        remember(frame);
        notices.erase(notices.begin(), next);
    }
    while (channel && !drops.empty()) {
        Dropped frame;
        const auto end = drops.begin() + static_cast<ptrdiff_t>(std::min(drops.size(), most_held_leases));
        frame.leases.assign(drops.begin(), end);
        if (!channel->post_or_end(frame.to_frame()))
            return;
        drops.erase(drops.begin(), end);
    }
}

// ---- the connection

// Until the client goes: connects, talks, connects again.
Task<void> QueueClient::Impl::run()
{
    Duration wait = limits.reconnect_delay;
    bool complained = false;
    while (true) {
        auto connected = co_await ipc::connect(loop, socket_path, Deadline::after(connect_timeout));
        if (connected) {
            channel = *std::move(connected);
            wait = limits.reconnect_delay;
            complained = false;
            const Error why = co_await talk();
            channel.reset();
            requested = 0;
            changed.notify_all();
            if (why.kind() == ErrorKind::Corrupt)
                log::warning("queue manager: ", why.full_text());
        } else if (!std::exchange(complained, true)) {
            log::warning("cannot reach the queue manager at ", socket_path, ": ", connected.error().full_text());
        }
        co_await sleep_for(loop, wait);
        wait = std::min(wait * 2, limits.reconnect_delay * longest_back_off);
    }
}

Task<Error> QueueClient::Impl::talk()
{
    if (auto greeted = say_hello(); !greeted)
        co_return greeted.error();
    while (true) {
        auto frame = co_await channel->receive(Deadline::never()); // an idle connection is normal
        if (!frame)
            co_return frame.error();
        if (auto taken = take(*std::move(frame)); !taken)
            co_return taken.error();
    }
}

void QueueClient::Impl::remember(const Committed& frame)
{
    for (const CommittedMessage& message : frame.messages)
        told.push_back(message.number);
    if (told.size() > most_remembered)
        told.erase(told.begin(), told.end() - static_cast<ptrdiff_t>(most_remembered));
}

// The qmgr that heard of these may be dead. Given back, so to say, a slot is looked into before its turn in the scan.
void QueueClient::Impl::remind()
{
    std::unordered_set<uint64_t> mine = in_use;
    for (const HeldLease& lease : ready)
        mine.insert(lease.slot.number);
    for (const CommittedMessage& message : notices)
        mine.insert(message.number);
    for (const DroppedLease& lease : drops)
        mine.insert(lease.number);
    for (auto number = told.rbegin(); number != told.rend() && mine.size() < most_held_leases; ++number)
        if (mine.insert(*number).second) // else the slot was leased again since: that message is done
            drops.emplace_back(*number, false);
}

Result<void> QueueClient::Impl::say_hello()
{
    remind();
    LeaseHello hello;
    hello.role = role;
    hello.pid = static_cast<uint32_t>(::getpid());
    // Those that ended while there was no connection: claimed first, then told.
    for (const CommittedMessage& message : notices)
        hello.held.push_back(message.number);
    for (const DroppedLease& lease : drops)
        hello.held.push_back(lease.number);
    hello.held.insert(hello.held.end(), in_use.begin(), in_use.end());
    for (const HeldLease& lease : ready)
        hello.held.push_back(lease.slot.number);
    hello.held.resize(std::min(hello.held.size(), most_held_leases));
    RETURN_IF_ERROR(channel->post(hello.to_frame()));
    flush();
    request_more();
    return Result<void>();
}

Result<void> QueueClient::Impl::take(ipc::Frame frame)
{
    if (frame.type == Lease::type)
        return take_lease(frame);
    auto refusal = LeaseRefused::from_frame(frame);
    if (!refusal)
        return std::move(refusal.error());
    refused = *std::move(refusal);
    refused_at = loop.now();
    requested = 0;
    changed.notify_all();
    return Result<void>();
}

Result<void> QueueClient::Impl::take_lease(ipc::Frame& frame)
{
    auto lease = Lease::from_frame(frame);
    if (!lease)
        return std::move(lease.error());
    for (size_t i = 0; i < lease->slots.size(); ++i) {
        if (frame.fds[i])
            ready.push_back(HeldLease{lease->slots[i], std::move(frame.fds[i])});
        else
            slot_dropped(lease->slots[i].number, false); // no descriptors left here
    }
    if (ready.empty()) { // asking again at once would go round in circles
        refused.emplace("4.3.0", "no descriptors left");
        refused_at = loop.now();
        requested = 0;
        changed.notify_all();
        return Result<void>();
    }
    slot_size = lease->slot_size;
    free_bytes = lease->free_bytes;
    refused.reset();
    requested = 0;
    changed.notify_all();
    request_more();
    return Result<void>();
}

// One request at a time, when less than half of the target is in hand.
void QueueClient::Impl::request_more()
{
    if (!channel || requested > 0 || ready.size() * 2 > target)
        return;
    requested = std::min(target - ready.size(), most_slots_in_frame);
    const LeaseRequest request(static_cast<uint32_t>(requested));
    channel->post_or_end(request.to_frame());
}

// ---- messages

std::unique_ptr<NewMessage> QueueClient::Impl::new_message()
{
    HeldLease lease = std::move(ready.front());
    ready.pop_front();
    in_use.insert(lease.slot.number);
    request_more();
    return std::make_unique<SlotMessage>(shared_from_this(), threads, Disk::system(), lease.slot,
                                         std::move(lease.file), SlotMessageLimits(limits.buffer, slot_size));
}

Error QueueClient::Impl::why_no_lease() const
{
    if (refused)
        return Error(ErrorKind::Temporary, refused->dsn, refused->text);
    return Error(ErrorKind::Temporary, "4.3.0", channel ? "no queue file in time" : "the queue manager is not there");
}

QueueClient::QueueClient(Loop& loop, ThreadPool& pool, std::string socket_path, std::string role,
                         QueueClientLimits limits)
    : impl_(std::make_shared<Impl>(loop, pool, std::move(socket_path), std::move(role), limits))
{
}

QueueClient::~QueueClient()
{
    impl_->flush();
    impl_->tasks.reset();
    impl_->channel.reset();
}

void QueueClient::prefetch()
{
    if (!std::exchange(impl_->started, true))
        impl_->tasks->spawn(impl_->run());
}

Task<Result<std::unique_ptr<NewMessage>>> QueueClient::begin(Deadline deadline)
{
    prefetch();
    if (impl_->ready.empty())
        impl_->target = std::min(impl_->target * 2, impl_->limits.most_leases);
    while (impl_->ready.empty()) {
        if (impl_->refused && impl_->loop.now() - impl_->refused_at < refusal_is_fresh)
            co_return impl_->why_no_lease();
        impl_->request_more();
        const bool in_time = co_await impl_->changed.wait(deadline);
        if (!in_time)
            co_return impl_->why_no_lease();
    }
    co_return impl_->new_message();
}

bool QueueClient::connected() const { return impl_->channel != nullptr; }

size_t QueueClient::unfinished() const
{
    return impl_->commits + impl_->notices.size() + impl_->drops.size() +
           (impl_->channel && impl_->channel->queued() > 0 ? 1 : 0);
}

uint64_t QueueClient::free_bytes()
{
    const Instant now = impl_->loop.now();
    if (!impl_->ready.empty() && now >= impl_->free_bytes_until) {
        struct statvfs space {};
        if (::fstatvfs(impl_->ready.front().file.get(), &space) == 0)
            impl_->free_bytes = static_cast<uint64_t>(space.f_bavail) * space.f_frsize;
        impl_->free_bytes_until = now + space_is_fresh;
    }
    return impl_->free_bytes;
}

} // namespace posthouse::queue
