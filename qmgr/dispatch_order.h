// DispatchOrder: whose delivery is next within one transport. Start-time fair queueing with a virtual
// clock, so that neither a mass mailing nor a slow destination delays other mail:
//  - each delivery of a message is one turn after its previous one, so a message with 10,000 recipients
//    spreads over 10,000 turns, and one that comes later with one recipient has the very next turn;
//  - each delivery of a destination is one turn after its previous one, so 10,000 messages to one place
//    take every second turn when there is mail to another;
//  - a destination whose window is full is not among the ready ones and costs nothing.
// Equal turns go to the destination that was served longest ago. All operations are O(log n).
#pragma once

#include "lib/base/time.h"
#include "qmgr/destination.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <tuple>
#include <vector>

namespace posthouse::qmgr {

class DispatchOrder {
public:
    // `message_turn`: the turn of the message's last delivery in this transport, kept by the caller.
    void add(std::unique_ptr<Delivery> delivery, uint64_t& message_turn, Instant now);
    // One that was taken and could not be done: keeps its turn.
    void put_back(std::unique_ptr<Delivery> delivery, Instant now);

    // The destination with the next turn, or null when none is ready.
    Destination* next() const;
    // Its next delivery, counted as started in its window.
    std::unique_ptr<Delivery> take(Destination& destination, Instant now);

    // To be called after any change of the destination's window.
    void window_changed(Destination& destination, Instant now);
    // Destinations that wait for time alone: when the first one opens, and to let them.
    Instant next_opening() const;
    void open_due(Instant now);

    // Takes all that waits there without starting it.
    std::vector<std::unique_ptr<Delivery>> drain(Destination& destination, Instant now);

    // The same for the deliveries of one message only.
    std::vector<std::unique_ptr<Delivery>> take_out(Destination& destination, const Message& message, Instant now);

    size_t waiting() const { return waiting_; }

private:
    void insert(std::unique_ptr<Delivery> delivery, Instant now);
    void leave(Destination& destination);

    using Ready = std::tuple<uint64_t, uint64_t, Destination*>; // turn, when last served, who
    std::set<Ready> ready_;
    std::set<std::pair<Instant, Destination*>> parked_;
    uint64_t clock_ = 0; // the turn of the last delivery taken
    uint64_t arrivals_ = 0;
    uint64_t served_ = 0;
    size_t waiting_ = 0;
};

} // namespace posthouse::qmgr
