// Scheduler, second part: from recipients to deliveries. Each recipient is routed; those of the same
// transport and nexthop travel together, as many as the transport takes at a time.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "qmgr/probe_desk.h"
#include "qmgr/scheduler.h"
#include "qmgr/time_slice.h"

#include <algorithm>
#include <utility>

namespace posthouse::qmgr {

// Recipients that travel together, collected until they make a delivery.
class Placement {
public:
    Placement() = default;
    Placement(Transport& its_transport, std::string its_nexthop, std::string its_recipient)
        : transport(&its_transport), nexthop(std::move(its_nexthop)), recipient(std::move(its_recipient))
    {
    }
    void add(uint32_t index, size_t its_bytes)
    {
        indexes.push_back(index);
        bytes += its_bytes;
    }
    bool full() const
    {
        return indexes.size() >= transport->recipient_limit() || bytes >= queue::most_bytes_in_delivery;
    }

    Transport* transport = nullptr;
    std::string nexthop;
    std::string recipient; // the first one's address
    std::vector<uint32_t> indexes;
    size_t bytes = 0;
};

// In order of first appearance.
class Placements {
public:
    Placement& of(Transport& transport, const std::string& nexthop, const std::string& recipient)
    {
        const auto [found, is_new] = positions_.emplace(cat(transport.name(), '\n', nexthop), all.size());
        if (is_new)
            all.emplace_back(transport, nexthop, recipient);
        return all[found->second];
    }

    std::vector<Placement> all;

private:
    std::unordered_map<std::string, size_t> positions_;
};

namespace {

std::string domain_of(const std::string& address)
{
    const auto at = address.rfind('@');
    return at == std::string::npos ? std::string() : ascii::lower(std::string_view(address).substr(at + 1));
}

bool is_double_bounce(const std::string& address, const Notices& notices)
{
    return ascii::equal(address, notices.double_bounce_sender);
}

} // namespace

// Others have their turn in between, however many recipients there are. What is full leaves at once.
Task<void> Scheduler::hand_out(Message& message)
{
    Placements placements;
    TimeSlice slice;
    for (uint32_t index = 0; index < message.recipients.size() && !message.orders.end_now(); ++index) {
        if (!message.pending(index))
            continue;
        co_await hand_out_one(message, index, placements);
        if (slice.over()) {
            co_await sleep_for(loop_, Duration());
            slice.renew();
        }
    }
    for (size_t i = 0; i < placements.all.size() && !message.orders.end_now(); ++i) {
        hand_to_transport(message, placements.all[i]);
        if (slice.over()) {
            co_await sleep_for(loop_, Duration());
            slice.renew();
        }
    }
}

Task<void> Scheduler::hand_out_one(Message& message, uint32_t index, Placements& placements)
{
    if (message.recipients[index].notify & mail::NotifyExpanded) {
        settle_expanded(message, index);
        co_return;
    }
    const std::string address = message.recipients[index].address;
    if (!message.envelope.content_filter.empty() && !mail::is_probe(message.envelope)) {
        queue::Route filter(queue::AddressClass::Default, "smtp", domain_of(address), address);
        filter.domain = filter.nexthop;
        const std::string& fixed = settings_.default_filter_nexthop;
        queue::apply_transport(message.envelope.content_filter, fixed.empty() ? filter.domain : fixed, filter.transport,
                               filter.nexthop);
        place(message, index, filter, placements);
        co_return;
    }
    Result<queue::Route> route = Error(ErrorKind::Temporary, "4.3.0", "not looked up");
    if (mail::is_probe(message.envelope))
        route = co_await probes_.find_route(address, message.envelope.sender);
    else
        route = co_await routes_.find(address, message.envelope.sender);
    if (route)
        place(message, index, *route, placements);
    else
        settle_here(message, queue::RecipientOutcome(0, index, queue::DeliveryStatus::Deferred,
                                                     std::string(route.error().dsn()), route.error().text()));
}

// A probe tells of the members alone.
void Scheduler::settle_expanded(Message& message, uint32_t index)
{
    if (mail::is_probe(message.envelope)) {
        message.states[index] = queue::RecipientState::Delivered;
        pool_->mark(message.number, index, message.states[index]);
        return;
    }
    queue::RecipientOutcome outcome(0, index, queue::DeliveryStatus::Delivered, "2.0.0", "alias expanded");
    outcome.action = queue::DeliveryAction::Expanded;
    settle_here(message, std::move(outcome));
}

void Scheduler::place(Message& message, uint32_t index, const queue::Route& route, Placements& placements)
{
    using queue::DeliveryStatus;
    Transport& its_transport = transport(route.transport);
    using Kind = TransportSettings::Kind;
    if (is_double_bounce(route.recipient, settings_.notices) || probes_.is_made_up_sender(route.recipient)) {
        if (!mail::is_probe(message.envelope))
            log::warning(message.id(), ": undeliverable postmaster notification discarded");
        settle_here(message, queue::RecipientOutcome(0, index, DeliveryStatus::Delivered, "2.0.0",
                                                     "undeliverable postmaster notification discarded"));
    } else if (its_transport.kind() == Kind::Error) {
        settle_here(message, outcome_from_text(index, DeliveryStatus::Failed, route.nexthop));
    } else if (its_transport.kind() == Kind::Retry) {
        settle_here(message, outcome_from_text(index, DeliveryStatus::Deferred, route.nexthop));
    } else if (its_transport.kind() == Kind::Discard) {
        settle_here(message, outcome_from_text(index, DeliveryStatus::Delivered, route.nexthop));
    } else if (!message.flushed && std::find(settings_.defer_transports.begin(), settings_.defer_transports.end(),
                                             route.transport) != settings_.defer_transports.end()) {
        settle_here(message, queue::RecipientOutcome(0, index, DeliveryStatus::Deferred, "4.3.2", "deferred transport"));
    } else {
        deliver_by(message, index, route, its_transport, placements);
    }
}

void Scheduler::deliver_by(Message& message, uint32_t index, const queue::Route& route, Transport& its_transport,
                           Placements& placements)
{
    const mail::Recipient& recipient = message.recipients[index];
    if (route.recipient != recipient.address)
        message.rerouted[index] = route.recipient;
    const size_t bytes = route.recipient.size() + recipient.original.size() + recipient.orcpt.size();
    if (its_transport.recipient_limit() == 1) {
        Placement alone(its_transport, route.nexthop, route.recipient);
        alone.add(index, bytes);
        hand_to_transport(message, alone);
        return;
    }
    Placement& placement = placements.of(its_transport, route.nexthop, route.recipient);
    placement.add(index, bytes);
    if (placement.full())
        hand_to_transport(message, placement);
}

// Leaves the placement empty.
void Scheduler::hand_to_transport(Message& message, Placement& placement)
{
    if (placement.indexes.empty())
        return;
    const Traffic traffic = mail::is_probe(message.envelope) ? Traffic::Probes : Traffic::Mail;
    Destination& destination = placement.transport->destination(placement.nexthop, placement.recipient, traffic);
    auto& turns = message.turns;
    auto turn = std::find_if(turns.begin(), turns.end(),
                             [&placement](const auto& one) { return one.first == placement.transport; });
    if (turn == turns.end())
        turn = turns.insert(turns.end(), std::pair(placement.transport, uint64_t{0}));
    ++message.open_deliveries;
    placement.bytes = 0;
    placement.transport->add(
        std::make_unique<Delivery>(message, destination, std::exchange(placement.indexes, std::vector<uint32_t>())),
        turn->second);
}

Transport& Scheduler::transport(const std::string& name)
{
    std::unique_ptr<Transport>& slot = transports_[name];
    if (!slot) {
        DeliveryOwner& owner = *this;
        slot = std::make_unique<Transport>(loop_, settings_.transport(name), owner);
        if (paused_)
            slot->pause();
    }
    return *slot;
}

} // namespace posthouse::qmgr
