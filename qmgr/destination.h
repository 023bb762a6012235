// Destination: a transport and a nexthop (with recipient limit 1: and one recipient), the unit of
// concurrency control; and Delivery: one request to an agent, some recipients of one message.
// Plain state: DispatchOrder decides whose turn it is, Transport carries it out.
#pragma once

#include "qmgr/concurrency.h"

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace posthouse::qmgr {

class Agent;
class Destination;
class Message;

class Delivery {
public:
    Delivery(Message& its_message, Destination& its_destination, std::vector<uint32_t> its_recipients)
        : message(its_message), destination(its_destination), recipients(std::move(its_recipients))
    {
    }

    Message& message;         // outlives it: a message waits for its deliveries
    Destination& destination; // outlives it: kept while it has deliveries
    std::vector<uint32_t> recipients; // indexes into the envelope, without an outcome so far
    uint64_t turn = 0;        // its place in the DispatchOrder,
    uint64_t arrival = 0;     // among those of the same turn
    unsigned lost = 0;        // agents that went away with it
    bool cancelled = false;   // its message is to go: not to be repeated
};

class Destination {
public:
    Destination(std::string its_key, std::string its_nexthop, const ConcurrencyLimits& limits)
        : key(std::move(its_key)), nexthop(std::move(its_nexthop)), window(limits)
    {
    }
    Destination(const Destination&) = delete;
    Destination& operator=(const Destination&) = delete;

    bool unused() const { return waiting.empty() && window.running() == 0; }

    const std::string key;
    const std::string nexthop;
    ConcurrencyWindow window;
    // Why it is dead: reported for each recipient that is deferred unseen.
    std::string dead_dsn;
    std::string dead_text;
    Agent* preferred = nullptr; // has its connections and TLS sessions; may be gone, compared only

    // Owned by Transport: its place among those without work.
    std::optional<std::list<Destination*>::iterator> idle;

    // Owned by DispatchOrder.
    std::map<std::pair<uint64_t, uint64_t>, std::unique_ptr<Delivery>> waiting; // by turn, then arrival
    uint64_t earliest_turn = 0; // after the last one taken: a destination has one turn at a time
    uint64_t ready_turn = 0;
    uint64_t ready_served = 0;
    bool ready = false;
    Instant parked_until = Instant::never();
};

} // namespace posthouse::qmgr
