// Codec of the control protocol: see control_protocol.h.
#include "lib/queue/control_protocol.h"

#include "lib/queue/protocol_codec.h"
#include "lib/queue/queue_id.h"

namespace posthouse::queue {

using namespace codec;

namespace {

constexpr uint32_t most_ids = 10000;
constexpr uint32_t most_listed = 1000000;

struct QueueName {
    uint8_t queue;
    std::string_view name;
};
constexpr QueueName queue_names[] = {
    {Incoming, "incoming"}, {Active, "active"}, {Deferred, "deferred"}, {Hold, "hold"}, {Corrupt, "corrupt"},
};

void write_strings(ipc::Writer& out, const std::vector<std::string>& texts)
{
    out.u32(static_cast<uint32_t>(texts.size()));
    for (const std::string& text : texts)
        out.string(text);
}

std::vector<std::string> read_strings(ipc::Reader& in, size_t longest)
{
    std::vector<std::string> texts;
    for (uint32_t left = in.count(most_ids, 4); left > 0 && in.ok(); --left)
        texts.push_back(in.string(longest));
    return texts;
}

} // namespace

uint8_t queue_set_from(std::string_view name)
{
    if (name.empty())
        return AllQueues;
    for (const QueueName& entry : queue_names) {
        if (entry.name == name)
            return entry.queue;
    }
    return NoQueue;
}

std::string_view queue_name(uint8_t one_queue)
{
    for (const QueueName& entry : queue_names) {
        if (entry.queue == one_queue)
            return entry.name;
    }
    return one_queue == Maildrop ? "maildrop" : "unknown";
}

ipc::Frame ControlList::to_frame() const
{
    ipc::Writer out;
    out.u8(queues);
    out.string(id);
    out.string(site);
    return ipc::Frame(type, out.take());
}

Result<ControlList> ControlList::from_frame(const ipc::Frame& frame)
{
    ipc::Reader in(frame.body);
    ControlList list;
    list.queues = in.u8();
    list.id = in.string(longest_queue_id);
    list.site = in.string(1024);
    if (!is_frame(frame, type, 0) || !in.ok_and_finished())
        return malformed("ControlList");
    return list;
}

ipc::Frame ListEntry::to_frame() const
{
    ipc::Writer out;
    out.string(id);
    out.u8(queue);
    out.i64(arrival_us);
    out.u64(size);
    out.boolean(forced_expire);
    out.string(sender);
    out.i64(next_us);
    out.boolean(continues);
    out.boolean(more);
    out.u32(static_cast<uint32_t>(recipients.size()));
    for (const ListedRecipient& recipient : recipients) {
        out.string(recipient.address);
        out.string(recipient.original);
        out.string(recipient.reason);
        out.string(recipient.bounce_reason);
    }
    return ipc::Frame(type, out.take());
}

Result<ListEntry> ListEntry::from_frame(const ipc::Frame& frame)
{
    ipc::Reader in(frame.body);
    ListEntry entry;
    entry.id = in.string(longest_queue_id);
    entry.queue = in.u8();
    entry.arrival_us = in.i64();
    entry.size = in.u64();
    entry.forced_expire = in.boolean();
    entry.sender = in.string(longest_text);
    entry.next_us = in.i64();
    entry.continues = in.boolean();
    entry.more = in.boolean();
    for (uint32_t left = in.count(most_listed, 16); left > 0 && in.ok(); --left) {
        ListedRecipient& recipient = entry.recipients.emplace_back();
        recipient.address = in.string(longest_text);
        recipient.original = in.string(longest_text);
        recipient.reason = in.string(longest_text);
        recipient.bounce_reason = in.string(longest_text);
    }
    if (!is_frame(frame, type, 0) || !in.ok_and_finished())
        return malformed("ListEntry");
    return entry;
}

ipc::Frame ControlFlush::to_frame() const
{
    ipc::Writer out;
    out.u8(static_cast<uint8_t>(what));
    out.string(name);
    return ipc::Frame(type, out.take());
}

Result<ControlFlush> ControlFlush::from_frame(const ipc::Frame& frame)
{
    ipc::Reader in(frame.body);
    ControlFlush flush;
    flush.what = read_enum(in, FlushWhat::All, FlushWhat::Id);
    flush.name = in.string(1024);
    if (!is_frame(frame, type, 0) || !in.ok_and_finished())
        return malformed("ControlFlush");
    return flush;
}

ipc::Frame ControlAct::to_frame() const
{
    ipc::Writer out;
    out.u8(static_cast<uint8_t>(action));
    out.u8(queues);
    out.boolean(all);
    write_strings(out, ids);
    return ipc::Frame(type, out.take());
}

Result<ControlAct> ControlAct::from_frame(const ipc::Frame& frame)
{
    ipc::Reader in(frame.body);
    ControlAct act;
    act.action = read_enum(in, Action::Hold, Action::ForceExpire);
    act.queues = in.u8();
    act.all = in.boolean();
    act.ids = read_strings(in, longest_queue_id);
    if (!is_frame(frame, type, 0) || !in.ok_and_finished() || (act.all && !act.ids.empty()))
        return malformed("ControlAct");
    return act;
}

ipc::Frame ControlStatus::to_frame() const { return ipc::Frame(type, std::string()); }

Result<ControlStatus> ControlStatus::from_frame(const ipc::Frame& frame)
{
    if (!is_frame(frame, type, 0) || !frame.body.empty())
        return malformed("ControlStatus");
    return ControlStatus();
}

ipc::Frame ControlEnd::to_frame() const
{
    ipc::Writer out;
    out.boolean(ok);
    out.boolean(denied);
    out.string(text);
    out.u64(count);
    write_strings(out, missed);
    write_strings(out, lines);
    return ipc::Frame(type, out.take());
}

Result<ControlEnd> ControlEnd::from_frame(const ipc::Frame& frame)
{
    ipc::Reader in(frame.body);
    ControlEnd end;
    end.ok = in.boolean();
    end.denied = in.boolean();
    end.text = in.string(longest_text);
    end.count = in.u64();
    end.missed = read_strings(in, longest_queue_id);
    end.lines = read_strings(in, longest_text);
    if (!is_frame(frame, type, 0) || !in.ok_and_finished())
        return malformed("ControlEnd");
    return end;
}

} // namespace posthouse::queue
