// Codec of the delivery protocol: see delivery_protocol.h.
#include "lib/queue/delivery_protocol.h"

#include "lib/queue/protocol_codec.h"

namespace posthouse::queue {

using namespace codec;

namespace {

constexpr size_t most_outcomes_in_done = 16;

// What a host said is not cut short anywhere before.
std::string_view clipped(std::string_view text) { return text.substr(0, longest_text); }

void write(ipc::Writer& out, const RecipientOutcome& outcome)
{
    out.u64(outcome.serial);
    out.u32(outcome.index);
    out.u8(static_cast<uint8_t>(outcome.status));
    out.u8(static_cast<uint8_t>(outcome.action));
    out.boolean(outcome.dsn_passed_on);
    out.string(outcome.dsn);
    out.string(clipped(outcome.text));
    out.string(clipped(outcome.relay));
    out.string(clipped(outcome.remote_mta));
    out.string(clipped(outcome.diagnostic));
    out.i64(outcome.connect_us);
    out.i64(outcome.transmit_us);
}

RecipientOutcome read_outcome(ipc::Reader& in)
{
    RecipientOutcome outcome;
    outcome.serial = in.u64();
    outcome.index = in.u32();
    outcome.status = read_enum(in, DeliveryStatus::Delivered, DeliveryStatus::Failed);
    outcome.action = read_enum(in, DeliveryAction::None, DeliveryAction::Expanded);
    outcome.dsn_passed_on = in.boolean();
    outcome.dsn = in.string(16);
    outcome.text = in.string(longest_text);
    outcome.relay = in.string(longest_text);
    outcome.remote_mta = in.string(longest_text);
    outcome.diagnostic = in.string(longest_text);
    outcome.connect_us = in.i64();
    outcome.transmit_us = in.i64();
    return outcome;
}

} // namespace

RecipientOutcome::RecipientOutcome(uint64_t of_serial, uint32_t of_index, DeliveryStatus what, std::string the_dsn,
                                   std::string why)
    : serial(of_serial), index(of_index), status(what), dsn(std::move(the_dsn)), text(std::move(why))
{
}

ipc::Frame AgentHello::to_frame() const
{
    ipc::Writer out;
    out.u16(delivery_protocol_version);
    out.u32(pid);
    out.u32(max_concurrent);
    return ipc::Frame(type, out.take());
}

Result<AgentHello> AgentHello::from_frame(const ipc::Frame& frame)
{
    ipc::Reader in(frame.body);
    const uint16_t version = in.u16();
    const uint32_t pid = in.u32();
    const AgentHello hello(pid, in.u32());
    if (!is_frame(frame, type, 0) || !in.ok_and_finished() || version != delivery_protocol_version ||
        hello.max_concurrent == 0)
        return malformed("AgentHello");
    return hello;
}

ipc::Frame DeliveryRequest::to_frame() &&
{
    ipc::Writer out;
    out.u64(serial);
    out.string(transport);
    out.string(nexthop);
    codec::write(out, envelope);
    for (const uint32_t index : indexes)
        out.u32(index);
    codec::write(out, content);
    out.i64(active_us);
    out.i64(start_us);
    out.boolean(expired_soon);
    out.boolean(soft_bounce);
    ipc::Frame frame(type, out.take());
    frame.fds.push_back(std::move(file));
    return frame;
}

Result<DeliveryRequest> DeliveryRequest::from_frame(ipc::Frame&& frame)
{
    ipc::Reader in(frame.body);
    DeliveryRequest request;
    request.serial = in.u64();
    request.transport = in.string(255);
    request.nexthop = in.string(longest_text);
    request.envelope = read_envelope(in);
    for (size_t i = 0; i < request.envelope.recipients.size() && in.ok(); ++i)
        request.indexes.push_back(in.u32());
    request.content = read_content_info(in);
    request.active_us = in.i64();
    request.start_us = in.i64();
    request.expired_soon = in.boolean();
    request.soft_bounce = in.boolean();
    if (!is_frame(frame, type, 1) || !in.ok_and_finished() || request.indexes.empty() ||
        request.indexes.size() > most_recipients_in_delivery)
        return malformed("DeliveryRequest");
    request.file = std::move(frame.fds.front());
    return request;
}

ipc::Frame RecipientOutcome::to_frame() const
{
    ipc::Writer out;
    write(out, *this);
    return ipc::Frame(type, out.take());
}

Result<RecipientOutcome> RecipientOutcome::from_frame(const ipc::Frame& frame)
{
    ipc::Reader in(frame.body);
    RecipientOutcome outcome = read_outcome(in);
    if (!is_frame(frame, type, 0) || !in.ok_and_finished())
        return malformed("RecipientOutcome");
    return outcome;
}

ipc::Frame DeliveryDone::to_frame() const
{
    ipc::Writer out;
    out.u64(serial);
    out.u8(static_cast<uint8_t>(site));
    out.string(site_dsn);
    out.string(clipped(site_text));
    out.u32(static_cast<uint32_t>(outcomes.size()));
    for (const RecipientOutcome& outcome : outcomes)
        write(out, outcome);
    return ipc::Frame(type, out.take());
}

Result<DeliveryDone> DeliveryDone::from_frame(const ipc::Frame& frame)
{
    ipc::Reader in(frame.body);
    DeliveryDone done(in.u64());
    done.site = read_enum(in, SiteStatus::Ok, SiteStatus::AgentBusy);
    done.site_dsn = in.string(16);
    done.site_text = in.string(longest_text);
    for (uint32_t left = in.count(most_recipients_in_delivery, 51); left > 0 && in.ok(); --left) {
        done.outcomes.push_back(read_outcome(in));
        if (done.outcomes.back().serial != done.serial)
            in.fail();
    }
    if (!is_frame(frame, type, 0) || !in.ok_and_finished())
        return malformed("DeliveryDone");
    return done;
}

void post_done(ipc::Channel& channel, DeliveryDone done)
{
    if (done.outcomes.size() > most_outcomes_in_done) {
        for (const RecipientOutcome& outcome : done.outcomes)
            channel.post_or_end(outcome.to_frame());
        done.outcomes.clear();
    }
    channel.post_or_end(done.to_frame());
}

ipc::Frame DeliveryCancel::to_frame() const
{
    ipc::Writer out;
    out.u64(serial);
    return ipc::Frame(type, out.take());
}

Result<DeliveryCancel> DeliveryCancel::from_frame(const ipc::Frame& frame)
{
    ipc::Reader in(frame.body);
    const DeliveryCancel cancel(in.u64());
    if (!is_frame(frame, type, 0) || !in.ok_and_finished())
        return malformed("DeliveryCancel");
    return cancel;
}

ipc::Frame AgentLeaving::to_frame() const { return ipc::Frame(type, ""); }

Result<AgentLeaving> AgentLeaving::from_frame(const ipc::Frame& frame)
{
    if (!is_frame(frame, type, 0) || !frame.body.empty())
        return malformed("AgentLeaving");
    return AgentLeaving();
}

} // namespace posthouse::queue
