// What operators' commands want of qmgr, see control_desk.h: a request is checked, passed to the scheduler
// (operator.cc, listing.cc) and answered. qmgr.cc has each connection served here.
#include "qmgr/control_desk.h"

#include "lib/base/cat.h"
#include "lib/ipc/channel.h"
#include "lib/log/log.h"
#include "lib/queue/drop_listing.h"
#include "lib/service/peer.h"
#include "qmgr/operator_rights.h"
#include "qmgr/route_finder.h"
#include "qmgr/scheduler.h"

#include <functional>
#include <utility>
#include <vector>

namespace posthouse::qmgr {

namespace {

constexpr Duration client_time = Duration::seconds(100);
constexpr Duration list_patience = Duration::seconds(10); // then what is known so far has to do
constexpr const char* still_reading =
    "nothing was changed: the queue manager has started and is still reading the queue, try again later";
constexpr size_t most_bytes_ahead = 256 * 1024;

// Nobody's (-1) when the kernel does not say.
uid_t user_of(int fd) { return service::peer_uid(fd).value_or(static_cast<uid_t>(-1)); }

queue::ControlEnd refused(std::string why, bool denied = false)
{
    queue::ControlEnd end;
    end.ok = false;
    end.denied = denied;
    end.text = std::move(why);
    return end;
}

} // namespace

Task<void> ControlDesk::serve(std::unique_ptr<ipc::Channel> channel)
{
    while (true) {
        auto frame = co_await channel->receive(Deadline::after(client_time));
        if (!frame)
            co_return; // done, or not in earnest
        auto end = co_await answer(*channel, *frame);
        if (!end) {
            log::warning("control connection: ", end.error().full_text());
            co_return;
        }
        if (!channel->post(end->to_frame()))
            co_return;
    }
}

// A queue that is still being read would look empty, or lack the message that is asked for. What is ordered meanwhile
// would be done to the index alone, and the scan would undo it.
Task<bool> ControlDesk::scan_ends_within(Duration patience)
{
    const Instant limit = loop_.now() + patience;
    while (scheduler_.scanning() && loop_.now() < limit)
        co_await sleep_for(loop_, Duration::milliseconds(20));
    co_return !scheduler_.scanning();
}

Task<Result<queue::ControlEnd>> ControlDesk::answer(ipc::Channel& channel, const ipc::Frame& frame)
{
    if (frame.type == queue::ControlList::type) {
        auto request = queue::ControlList::from_frame(frame);
        if (!request)
            co_return std::move(request.error());
        auto may = co_await rights_.check(OperatorRights::To::View, user_of(channel.fd()));
        if (!may)
            co_return refused(may.error().full_text(), may.error().kind() == ErrorKind::Permanent);
        (void)co_await scan_ends_within(list_patience); // a part of the list is better than none
        co_return co_await list(channel, std::move(*request));
    }
    if (frame.type == queue::ControlFlush::type) {
        auto request = queue::ControlFlush::from_frame(frame);
        if (!request)
            co_return std::move(request.error());
        auto may = co_await rights_.check(OperatorRights::To::Flush, user_of(channel.fd()));
        if (!may)
            co_return refused(may.error().full_text(), may.error().kind() == ErrorKind::Permanent);
        const bool known = co_await scan_ends_within(act_patience_);
        if (!known)
            co_return refused(still_reading);
        co_return co_await flush(std::move(*request));
    }
    if (frame.type == queue::ControlAct::type) {
        auto request = queue::ControlAct::from_frame(frame);
        if (!request)
            co_return std::move(request.error());
        if (root_acts_only_ && user_of(channel.fd()) != 0)
            co_return refused("only root may act on messages");
        const bool known = co_await scan_ends_within(act_patience_);
        if (!known)
            co_return refused(still_reading);
        co_return co_await act(std::move(*request));
    }
    if (frame.type == queue::ControlStatus::type && queue::ControlStatus::from_frame(frame))
        co_return status();
    co_return Error(ErrorKind::Corrupt, cat("unexpected request of type ", frame.type));
}

Task<Result<queue::ControlEnd>> ControlDesk::list(ipc::Channel& channel, queue::ControlList request)
{
    queue::ControlEnd end;
    ListPosition position;
    std::vector<queue::ListEntry> entries;
    while (scheduler_.list_some(request, position, entries)) {
        for (const queue::ListEntry& entry : entries) {
            CO_CHECK(channel.post(entry.to_frame()));
            end.count += entry.continues ? 0 : 1;
        }
        entries.clear();
        CO_CHECK(co_await channel.wait_below(most_bytes_ahead, Deadline::after(client_time)));
        co_await sleep_for(loop_, Duration());
    }
    if ((request.queues & queue::Maildrop) != 0 && request.id.empty() && request.site.empty()) {
        auto dropped = co_await list_maildrop(channel);
        if (!dropped)
            co_return std::move(dropped.error());
        end.count += *dropped;
    }
    co_return end;
}

// What pickup has not taken yet: it may not run, or not be able to.
Task<Result<uint64_t>> ControlDesk::list_maildrop(ipc::Channel& channel)
{
    std::function<Result<std::vector<std::string>>()> names_of = [directory = queue_directory_] {
        return queue::list_drops(directory);
    };
    auto names = co_await in_pool(threads_, std::move(names_of));
    if (!names) { // a part of the list is better than none
        log::warning("maildrop cannot be listed: ", names.error().full_text());
        co_return uint64_t{0};
    }
    uint64_t count = 0;
    for (const std::string& name : *names) {
        std::function<std::vector<queue::ListEntry>()> look = [directory = queue_directory_, name] {
            return queue::listed_drop(directory, name);
        };
        const auto entries = co_await in_pool(threads_, std::move(look));
        for (const queue::ListEntry& entry : entries) {
            CO_CHECK(channel.post(entry.to_frame()));
            count += entry.continues ? 0 : 1;
        }
        CO_CHECK(co_await channel.wait_below(most_bytes_ahead, Deadline::after(client_time)));
    }
    co_return count;
}

Task<Result<queue::ControlEnd>> ControlDesk::flush(queue::ControlFlush request)
{
    queue::ControlEnd end;
    scheduler_.flush_transports();
    routes_.forget();
    if (request.what == queue::FlushWhat::Id) {
        end.ok = scheduler_.flush_id(request.name);
        end.count = end.ok ? 1 : 0;
        if (!end.ok)
            end.text = cat("no deferred message ", request.name);
        co_return end;
    }
    const std::string site = request.what == queue::FlushWhat::Site ? request.name : std::string();
    uint64_t after = 0;
    while (scheduler_.flush_some(site, after, end.count))
        co_await sleep_for(loop_, Duration());
    co_return end;
}

Task<Result<queue::ControlEnd>> ControlDesk::act(queue::ControlAct request)
{
    queue::ControlEnd end;
    if (!request.all) {
        for (const std::string& id : request.ids) {
            if (scheduler_.act(request.action, id, request.queues))
                ++end.count;
            else
                end.missed.push_back(id);
        }
        co_return end;
    }
    const int64_t begun_us = wall_clock_us(); // what comes later, copies of requeued messages too, is not meant
    uint64_t after = 0;
    bool ended = false;
    while (!ended) {
        for (const std::string& id : scheduler_.ids_after(after, begun_us, ended))
            if (scheduler_.act(request.action, id, request.queues))
                ++end.count;
        co_await sleep_for(loop_, Duration());
    }
    co_return end;
}

queue::ControlEnd ControlDesk::status() const
{
    queue::ControlEnd end;
    end.lines = scheduler_.status();
    return end;
}

} // namespace posthouse::qmgr
