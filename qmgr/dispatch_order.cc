// Whose delivery is next, see dispatch_order.h: transport.cc adds deliveries, takes them, and tells of changed windows.
#include "qmgr/dispatch_order.h"

#include <algorithm>
#include <utility>

namespace posthouse::qmgr {

void DispatchOrder::add(std::unique_ptr<Delivery> delivery, uint64_t& message_turn, Instant now)
{
    message_turn = std::max(clock_, message_turn) + 1;
    delivery->turn = message_turn;
    delivery->arrival = ++arrivals_;
    insert(std::move(delivery), now);
}

void DispatchOrder::put_back(std::unique_ptr<Delivery> delivery, Instant now)
{
    insert(std::move(delivery), now);
}

void DispatchOrder::insert(std::unique_ptr<Delivery> delivery, Instant now)
{
    Destination& destination = delivery->destination;
    const std::pair place(delivery->turn, delivery->arrival);
    destination.waiting.emplace(place, std::move(delivery));
    ++waiting_;
    window_changed(destination, now);
}

Destination* DispatchOrder::next() const
{
    return ready_.empty() ? nullptr : std::get<Destination*>(*ready_.begin());
}

std::unique_ptr<Delivery> DispatchOrder::take(Destination& destination, Instant now)
{
    leave(destination);
    auto first = destination.waiting.begin();
    std::unique_ptr<Delivery> delivery = std::move(first->second);
    destination.waiting.erase(first);
    --waiting_;
    clock_ = std::max(clock_, std::max(delivery->turn, destination.earliest_turn));
    destination.earliest_turn = clock_ + 1;
    destination.ready_served = ++served_;
    destination.window.started();
    window_changed(destination, now);
    return delivery;
}

void DispatchOrder::window_changed(Destination& destination, Instant now)
{
    leave(destination);
    if (destination.waiting.empty())
        return;
    if (destination.window.may_start(now)) {
        destination.ready_turn = std::max(destination.waiting.begin()->first.first, destination.earliest_turn);
        destination.ready = true;
        ready_.emplace(destination.ready_turn, destination.ready_served, &destination);
        return;
    }
    const Instant opens = destination.window.opens_at(now);
    if (!opens.is_never()) {
        destination.parked_until = opens;
        parked_.emplace(opens, &destination);
    }
}

void DispatchOrder::leave(Destination& destination)
{
    if (destination.ready)
        ready_.erase(Ready(destination.ready_turn, destination.ready_served, &destination));
    destination.ready = false;
    if (!destination.parked_until.is_never())
        parked_.erase(std::pair(destination.parked_until, &destination));
    destination.parked_until = Instant::never();
}

Instant DispatchOrder::next_opening() const
{
    return parked_.empty() ? Instant::never() : parked_.begin()->first;
}

void DispatchOrder::open_due(Instant now)
{
    while (!parked_.empty() && parked_.begin()->first <= now)
        window_changed(*parked_.begin()->second, now);
}

std::vector<std::unique_ptr<Delivery>> DispatchOrder::drain(Destination& destination, Instant now)
{
    std::vector<std::unique_ptr<Delivery>> all;
    all.reserve(destination.waiting.size());
    for (auto& [turn, delivery] : destination.waiting)
        all.push_back(std::move(delivery));
    waiting_ -= all.size();
    destination.waiting.clear();
    window_changed(destination, now);
    return all;
}

std::vector<std::unique_ptr<Delivery>> DispatchOrder::take_out(Destination& destination, const Message& message,
                                                               Instant now)
{
    std::vector<std::unique_ptr<Delivery>> taken;
    for (auto one = destination.waiting.begin(); one != destination.waiting.end();) {
        if (&one->second->message != &message) {
            ++one;
            continue;
        }
        taken.push_back(std::move(one->second));
        one = destination.waiting.erase(one);
        --waiting_;
    }
    if (!taken.empty())
        window_changed(destination, now);
    return taken;
}

} // namespace posthouse::qmgr
