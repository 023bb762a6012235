// A walk through the whole queue for mailq, in pieces: the scheduler lists some with each call, and others
// have their turn of the loop in between.
#pragma once

#include "qmgr/waiting_index.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace posthouse::qmgr {

// Where the walk is: first the active set as it was when it began, then the index.
class ListPosition {
public:
    ListPosition() = default;
    bool begun = false;
    std::vector<uint64_t> active; // numbers
    size_t next_active = 0;
    uint32_t next_recipient = 0; // of that one
    std::string open_id;         // the active message of which a piece was listed, and not the last
    IndexCursor index;
    bool skipping = false; // the record at `index` is not wanted
};

bool in_site(const std::string& address, const std::string& site);
uint8_t queue_of(const WaitingMessage& record); // a queue::QueueSet

} // namespace posthouse::qmgr
