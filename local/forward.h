// Forwarder: puts a message back into the queue for other recipients, with a Delivered-To: field against
// loops. What it returned is durable: the old recipient may be marked done.
#pragma once

#include "lib/base/result.h"
#include "lib/event/task.h"
#include "lib/event/thread_pool.h"
#include "lib/queue/delivery_protocol.h"
#include "lib/queue/intake.h"
#include "lib/queue/new_message.h"
#include "local/settings.h"

#include <string>
#include <vector>

namespace posthouse::local {

class Forwarder {
public:
    Forwarder(const Settings& settings, queue::IntakeTables& tables, queue::MessageSource& source, ThreadPool& pool)
        : settings_(settings), tables_(tables), source_(source), pool_(pool)
    {
    }

    // `owner`: the new sender of a list, or "" to keep the old one. Returns the new message's id.
    // `request` must stay valid until the task ends.
    Task<Result<std::string>> forward(const queue::DeliveryRequest& request, size_t position, std::string owner,
                                      std::vector<std::string> addresses);
    bool stale() const { return tables_.stale(); }

private:
    mail::Envelope envelope_for(const queue::DeliveryRequest& request, size_t position, const std::string& owner,
                                const std::vector<std::string>& addresses) const;
    Task<Result<void>> copy_content(const queue::DeliveryRequest& request, queue::Intake& intake);
    const Settings& settings_;
    queue::IntakeTables& tables_;
    queue::MessageSource& source_;
    ThreadPool& pool_;
};

} // namespace posthouse::local
