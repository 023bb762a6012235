// Scheduler, second part: from recipients to deliveries. Each recipient is routed; those of the same
// transport and nexthop travel together, as many as the transport takes at a time.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "qmgr/scheduler.h"

#include <algorithm>
#include <utility>

namespace posthouse::qmgr {

class Placement {
public:
    Placement() = default;
    Transport* transport = nullptr;
    std::string nexthop;
    std::string recipient; // the first one's address
    std::vector<uint32_t> indexes;
};

// In order of first appearance.
class Placements {
public:
    Placement& of(Transport& transport, const std::string& nexthop, const std::string& recipient)
    {
        std::string key = cat(transport.name(), '\n', nexthop);
        if (transport.recipient_limit() == 1)
            append_to(key, '\n', recipient);
        const auto [found, is_new] = positions_.emplace(std::move(key), all.size());
        if (is_new) {
            all.emplace_back();
            all.back().transport = &transport;
            all.back().nexthop = nexthop;
            all.back().recipient = recipient;
        }
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

Task<void> Scheduler::hand_out(Message& message)
{
    Placements placements;
    for (uint32_t index = 0; index < message.recipients.size(); ++index) {
        if (!message.pending(index))
            continue;
        const std::string address = message.recipients[index].address;
        if (!message.envelope.content_filter.empty()) {
            queue::Route filter(queue::AddressClass::Default, "smtp", domain_of(address), address);
            filter.domain = filter.nexthop;
            queue::apply_transport(message.envelope.content_filter, filter.domain, filter.transport, filter.nexthop);
            place(message, index, filter, placements);
            continue;
        }
        auto route = co_await routes_.find(address, message.envelope.sender);
        if (route)
            place(message, index, *route, placements);
        else
            settle_here(message, queue::RecipientOutcome(0, index, queue::DeliveryStatus::Deferred,
                                                         std::string(route.error().dsn()), route.error().text()));
    }
    hand_to_transports(message, placements);
}

void Scheduler::place(Message& message, uint32_t index, const queue::Route& route, Placements& placements)
{
    using queue::DeliveryStatus;
    if ((message.envelope.trace & mail::TraceVerify) != 0) {
        probe(message, index, route);
        return;
    }
    Transport& its_transport = transport(route.transport);
    using Kind = TransportSettings::Kind;
    if (is_double_bounce(route.recipient, settings_.notices)) {
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
        if (route.recipient != message.recipients[index].address)
            message.rerouted[index] = route.recipient;
        placements.of(its_transport, route.nexthop, route.recipient).indexes.push_back(index);
    }
}

// sendmail -bv: nothing is delivered, the sender hears where it would go.
void Scheduler::probe(Message& message, uint32_t index, const queue::Route& route)
{
    const bool undeliverable = transport(route.transport).kind() == TransportSettings::Kind::Error;
    auto outcome = undeliverable ? outcome_from_text(index, queue::DeliveryStatus::Failed, route.nexthop)
                                 : queue::RecipientOutcome(0, index, queue::DeliveryStatus::Delivered, "2.0.0",
                                                           cat("delivers to ", route.transport, ':', route.nexthop));
    log::info(message.id(), ": to=<", route.recipient, ">, relay=none, dsn=", outcome.dsn, ", status=",
              undeliverable ? "undeliverable" : "deliverable", " (", outcome.text, ")");
    message.states[index] = queue::RecipientState::Delivered;
    pool_->mark(message.number, index, message.states[index]);
    message.delivered.push_back(std::move(outcome));
}

void Scheduler::hand_to_transports(Message& message, Placements& placements)
{
    for (Placement& placement : placements.all) {
        Destination& destination = placement.transport->destination(placement.nexthop, placement.recipient);
        const size_t limit = placement.transport->recipient_limit();
        auto& turns = message.turns;
        auto turn = std::find_if(turns.begin(), turns.end(),
                                 [&placement](const auto& one) { return one.first == placement.transport; });
        if (turn == turns.end())
            turn = turns.insert(turns.end(), std::pair(placement.transport, uint64_t{0}));
        for (size_t first = 0; first < placement.indexes.size(); first += limit) {
            const auto begin = placement.indexes.begin() + static_cast<ptrdiff_t>(first);
            const auto end = placement.indexes.begin() +
                             static_cast<ptrdiff_t>(std::min(first + limit, placement.indexes.size()));
            ++message.open_deliveries;
            placement.transport->add(
                std::make_unique<Delivery>(message, destination, std::vector<uint32_t>(begin, end)), turn->second);
        }
    }
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
