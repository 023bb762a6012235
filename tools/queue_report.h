// How the queue is shown: Postfix's mailq table for long queue ids, byte for byte, and the JSON objects of
// `postqueue -j`. Pure.
#pragma once

#include "lib/queue/control_protocol.h"

#include <cstdint>
#include <string>

namespace posthouse::tools {

// Text of the table: header with the first message, then each message, then the sum. A message may come in
// pieces (queue::ListEntry).
class QueueTable {
public:
    std::string add(const queue::ListEntry& entry);
    // The last line; "Mail queue is empty" when nothing was added.
    std::string end() const;

private:
    uint64_t bytes_ = 0;
    uint64_t messages_ = 0;
    std::string reason_; // shown last, of this message
};

// One line with a line end for each message; a piece of a message gives its part of the line.
std::string queue_json(const queue::ListEntry& entry);

} // namespace posthouse::tools
