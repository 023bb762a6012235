// Message: one message in the active set, in memory from its activation until it is retired, put to
// wait, or held. Owned by the Scheduler; its deliveries refer to it and are over before it goes.
#pragma once

#include "lib/event/notify.h"
#include "lib/mail/envelope.h"
#include "lib/queue/content_info.h"
#include "lib/queue/delivery_protocol.h"
#include "lib/queue/queue.h"
#include "lib/queue/queue_file.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace posthouse::qmgr {

class Transport;

// What a person has asked for while the message was active; carried out when its deliveries are over.
class Orders {
public:
    bool hold = false;
    bool remove = false;
    bool requeue = false;
    bool expire = false;

    bool end_now() const { return hold || remove || requeue; } // without another attempt
};

class Message {
public:
    Message(Loop& loop, queue::StoredMessage stored)
        : number(stored.number), envelope(std::move(stored.envelope)), recipients(std::move(envelope.recipients)),
          content(stored.content), states(std::move(stored.states)), warned(stored.warned), deliveries_over(loop)
    {
        envelope.recipients.clear();
    }
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;

    const std::string& id() const { return envelope.id; }
    bool from_null_sender() const { return envelope.sender.empty(); }
    bool unfinished(size_t index) const { return !queue::is_settled(states[index]); }
    bool pending(size_t index) const { return unfinished(index) && !queue::is_untold(states[index]); } // to be tried

    const uint64_t number;   // of its slot
    mail::Envelope envelope; // its recipients are the next member
    std::vector<mail::Recipient> recipients;
    queue::ContentInfo content;
    std::vector<queue::RecipientState> states; // as in the file
    size_t weight = 0; // what it counts for among qmgr_message_recipient_limit
    int64_t active_us = 0;                     // wall clock
    bool indexed = false;                      // the WaitingIndex has a record of it
    bool warned = false;                       // its sender knows of the delay
    bool flushed = false;                      // a person wants it now: defer_transports does not count
    Orders orders;

    // This attempt.
    std::unordered_map<uint32_t, std::string> rerouted; // what the agent gets instead of the address
    std::vector<queue::RecipientOutcome> deferred;
    std::vector<queue::RecipientOutcome> failed;
    std::vector<queue::RecipientOutcome> untold; // delivered, and the sender wants to know
    bool not_told = false;                       // ... but could not be told now
    size_t settled_now = 0;
    size_t open_deliveries = 0;
    bool handed_out = false; // every recipient was settled or given to a transport
    Event deliveries_over;
    std::vector<std::pair<const Transport*, uint64_t>> turns; // DispatchOrder's, by transport
};

} // namespace posthouse::qmgr
