// Codec of the lease protocol: see lease_protocol.h.
#include "lib/queue/lease_protocol.h"

#include "lib/queue/protocol_codec.h"

namespace posthouse::queue {

using namespace codec;

ipc::Frame LeaseHello::to_frame() const
{
    ipc::Writer out;
    out.u16(lease_protocol_version);
    out.string(role);
    out.u32(pid);
    out.u32(static_cast<uint32_t>(held.size()));
    for (const uint64_t number : held)
        out.u64(number);
    return ipc::Frame(type, out.take());
}

Result<LeaseHello> LeaseHello::from_frame(const ipc::Frame& frame)
{
    ipc::Reader in(frame.body);
    LeaseHello hello;
    const uint16_t version = in.u16();
    hello.role = in.string(64);
    hello.pid = in.u32();
    for (uint32_t left = in.count(most_held_leases, 8); left > 0; --left)
        hello.held.push_back(in.u64());
    if (!is_frame(frame, type, 0) || !in.ok_and_finished() || version != lease_protocol_version)
        return malformed("LeaseHello");
    return hello;
}

ipc::Frame LeaseRequest::to_frame() const
{
    ipc::Writer out;
    out.u32(count);
    return ipc::Frame(type, out.take());
}

Result<LeaseRequest> LeaseRequest::from_frame(const ipc::Frame& frame)
{
    ipc::Reader in(frame.body);
    LeaseRequest request(in.u32());
    if (!is_frame(frame, type, 0) || !in.ok_and_finished() || request.count == 0 || request.count > most_slots_in_frame)
        return malformed("LeaseRequest");
    return request;
}

ipc::Frame Lease::to_frame() const
{
    ipc::Writer out;
    out.u64(slot_size);
    out.u64(free_bytes);
    out.u32(static_cast<uint32_t>(slots.size()));
    for (const LeasedSlot& slot : slots) {
        out.u64(slot.number);
        out.i64(slot.not_before_us);
    }
    return ipc::Frame(type, out.take());
}

Result<Lease> Lease::from_frame(const ipc::Frame& frame)
{
    ipc::Reader in(frame.body);
    Lease lease;
    lease.slot_size = in.u64();
    lease.free_bytes = in.u64();
    for (uint32_t left = in.count(most_slots_in_frame, 16); left > 0; --left) {
        const uint64_t number = in.u64();
        lease.slots.emplace_back(number, in.i64());
    }
    if (!in.ok_and_finished() || !is_frame(frame, type, lease.slots.size()) || lease.slots.empty())
        return malformed("Lease");
    return lease;
}

ipc::Frame LeaseRefused::to_frame() const
{
    ipc::Writer out;
    out.string(dsn);
    out.string(text);
    return ipc::Frame(type, out.take());
}

Result<LeaseRefused> LeaseRefused::from_frame(const ipc::Frame& frame)
{
    ipc::Reader in(frame.body);
    LeaseRefused refused;
    refused.dsn = in.string(16);
    refused.text = in.string(longest_text);
    if (!is_frame(frame, type, 0) || !in.ok_and_finished() || !refused.dsn.starts_with("4."))
        return malformed("LeaseRefused");
    return refused;
}

ipc::Frame Committed::to_frame() const
{
    ipc::Writer out;
    out.u32(static_cast<uint32_t>(messages.size()));
    for (const CommittedMessage& message : messages) {
        out.u64(message.number);
        write(out, message.content);
        out.u64(message.states_offset);
        write(out, message.envelope);
    }
    return ipc::Frame(type, out.take());
}

Result<Committed> Committed::from_frame(const ipc::Frame& frame)
{
    ipc::Reader in(frame.body);
    Committed committed;
    for (uint32_t left = in.count(most_slots_in_frame, 40); left > 0 && in.ok(); --left) {
        CommittedMessage& message = committed.messages.emplace_back();
        message.number = in.u64();
        message.content = read_content_info(in);
        message.states_offset = in.u64();
        message.envelope = read_envelope(in);
    }
    if (!is_frame(frame, type, 0) || !in.ok_and_finished() || committed.messages.empty())
        return malformed("Committed");
    return committed;
}

ipc::Frame Dropped::to_frame() const
{
    ipc::Writer out;
    out.u32(static_cast<uint32_t>(leases.size()));
    for (const DroppedLease& lease : leases) {
        out.u64(lease.number);
        out.boolean(lease.broken);
    }
    return ipc::Frame(type, out.take());
}

Result<Dropped> Dropped::from_frame(const ipc::Frame& frame)
{
    ipc::Reader in(frame.body);
    Dropped dropped;
    for (uint32_t left = in.count(most_held_leases, 9); left > 0; --left) {
        const uint64_t number = in.u64();
        dropped.leases.emplace_back(number, in.boolean());
    }
    if (!is_frame(frame, type, 0) || !in.ok_and_finished() || dropped.leases.empty())
        return malformed("Dropped");
    return dropped;
}

} // namespace posthouse::queue
