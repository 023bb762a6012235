// One file of maildrop/ on its way into the queue. The file was written by any local user: nothing in it
// is believed but its owner, and it leaves the directory only after the message is durable in the queue.
// A crash between the two leaves both: that message is then delivered twice, never not at all.
#pragma once

#include "lib/base/time.h"
#include "lib/event/task.h"
#include "lib/queue/content_checks.h"
#include "lib/queue/intake.h"

#include <cstddef>
#include <string>

namespace posthouse::smtpd {
class MilterService;
}

namespace posthouse::pickup {

// What a drop needs; outlives it.
class DropContext {
public:
    DropContext(queue::IntakeTables& its_tables, queue::MessageSource& its_source) : tables(its_tables), source(its_source) {}
    queue::IntakeTables& tables;
    queue::MessageSource& source;
    queue::ContentRules* rules = nullptr; // null: content is not looked at
    queue::AddressMappings mappings = queue::AddressMappings::Apply;
    std::string content_filter;
    smtpd::MilterService* milters = nullptr; // null: none
    int maildrop = -1; // directories
    int corrupt = -1;
    std::string hostname;
    std::string mail_name;
    size_t bounce_size_limit = 50000;
    bool detect_smtputf8 = true; // smtputf8_autodetect_classes
    Duration stale_after = Duration::seconds(86400); // an incomplete file is given up
};

enum class DropOutcome : unsigned char {
    Queued,     // and the file removed
    Incomplete, // still being written, or gone
    Retry,      // stays; try again later
    Rejected,   // moved to corrupt/, or removed when it was never completed
    Stuck,      // done with, but the file cannot be removed: must not be taken again
};

Task<DropOutcome> take_drop(DropContext& context, std::string name);

} // namespace posthouse::pickup
