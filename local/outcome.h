// What became of one recipient, before it is a RecipientOutcome of the delivery protocol; and the
// interface that local and virtual fill in differently.
#pragma once

#include "lib/event/task.h"
#include "lib/queue/delivery_protocol.h"
#include "local/message_head.h"

#include <string>

namespace posthouse::local {

class Outcome {
public:
    Outcome(queue::DeliveryStatus its_status, std::string its_dsn, std::string its_text)
        : status(its_status), dsn(std::move(its_dsn)), text(std::move(its_text))
    {
    }
    static Outcome deferred(std::string dsn, std::string text)
    {
        return Outcome(queue::DeliveryStatus::Deferred, std::move(dsn), std::move(text));
    }
    static Outcome failed(std::string dsn, std::string text)
    {
        return Outcome(queue::DeliveryStatus::Failed, std::move(dsn), std::move(text));
    }
    // Of a probe.
    static Outcome deliverable(std::string text)
    {
        return Outcome(queue::DeliveryStatus::Delivered, "2.0.0", std::move(text));
    }
    // Deferred or failed, by the kind of the error.
    static Outcome from_error(const Error& error);

    bool delivered() const { return status == queue::DeliveryStatus::Delivered; }

    queue::DeliveryStatus status;
    std::string dsn;
    std::string text;
    queue::DeliveryAction action = queue::DeliveryAction::None;
};

class RecipientDelivery {
public:
    virtual ~RecipientDelivery() = default;
    // `request` and `head` must stay valid until the task ends.
    virtual Task<Outcome> deliver(const queue::DeliveryRequest& request, size_t position, const MessageHead& head) = 0;
    virtual bool stale() const = 0; // a table was replaced
};

} // namespace posthouse::local
