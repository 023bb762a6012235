// The line for a recipient: see log_outcome.h.
#include "lib/queue/log_outcome.h"

#include "lib/base/cat.h"
#include "lib/base/time.h"
#include "lib/log/log.h"

#include <algorithm>

namespace posthouse::queue {

namespace {

std::string_view status_text(DeliveryStatus status, bool soft_bounce, bool is_probe)
{
    if (is_probe)
        return status == DeliveryStatus::Delivered ? "deliverable" : "undeliverable";
    switch (status) {
    case DeliveryStatus::Delivered:
        return "sent";
    case DeliveryStatus::Deferred:
        return "deferred";
    case DeliveryStatus::Failed:
        return soft_bounce ? "SOFTBOUNCE" : "bounced";
    }
    return "unknown";
}

} // namespace

std::string delay_text(int64_t microseconds)
{
    const int64_t us = std::max<int64_t>(microseconds, 0);
    const int64_t hundredths = (us + 5000) / 10000;
    if (hundredths >= 1000) // 10 s and above: whole seconds
        return cat((us + 500000) / 1000000);
    if (hundredths >= 100) { // one decimal
        const int64_t tenths = (us + 50000) / 100000;
        return tenths % 10 == 0 ? cat(tenths / 10) : cat(tenths / 10, '.', tenths % 10);
    }
    if (hundredths == 0)
        return "0";
    if (hundredths % 10 == 0)
        return cat("0.", hundredths / 10);
    return cat("0.", hundredths / 10, hundredths % 10);
}

std::string outcome_line(const DeliveryRequest& request, size_t position, const RecipientOutcome& outcome,
                         int64_t now_us)
{
    const mail::Recipient& recipient = request.envelope.recipients[position];
    std::string line = cat(request.id(), ": to=<", recipient.address, '>');
    if (!recipient.original.empty() && recipient.original != recipient.address)
        append_to(line, ", orig_to=<", recipient.original, '>');
    append_to(line, ", relay=", outcome.relay.empty() ? std::string_view("none") : std::string_view(outcome.relay));
    append_to(line, ", delay=", delay_text(now_us - request.envelope.arrival_us), ", delays=",
              delay_text(request.active_us - request.envelope.arrival_us), '/',
              delay_text(request.start_us - request.active_us), '/', delay_text(outcome.connect_us), '/',
              delay_text(outcome.transmit_us));
    append_to(line, ", dsn=", outcome.dsn, ", status=", status_text(outcome.status, request.soft_bounce, mail::is_probe(request.envelope)),
              " (", outcome.text, ')');
    return line;
}

void log_outcome(const DeliveryRequest& request, size_t position, const RecipientOutcome& outcome)
{
    log::info(outcome_line(request, position, outcome, wall_clock_us()));
}

} // namespace posthouse::queue
