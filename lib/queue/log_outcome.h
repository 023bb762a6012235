// The line that every delivery agent logs for a recipient, in Postfix's shape:
//   ID: to=<a@b>, orig_to=<c>, relay=mx[192.0.2.1]:25, delay=0.42, delays=0.1/0.01/0.2/0.11, dsn=2.0.0, status=sent (250 ok)
#pragma once

#include "lib/queue/delivery_protocol.h"

#include <cstdint>
#include <string>

namespace posthouse::queue {

// `position`: of the recipient in request.envelope.recipients. `now_us`: the wall clock.
std::string outcome_line(const DeliveryRequest& request, size_t position, const RecipientOutcome& outcome,
                         int64_t now_us);
void log_outcome(const DeliveryRequest& request, size_t position, const RecipientOutcome& outcome);

// "0.42", "3.1", "12", as Postfix's delay_logging_resolution_limit = 2 does: two significant digits
// below 10 seconds, whole seconds above 100.
std::string delay_text(int64_t microseconds);

} // namespace posthouse::queue
