// Where a message's content is in its file, and what intake found out about it, so that most deliveries
// need not look at each byte again. Part of the queue file's header and of the messages between programs.
#pragma once

#include "lib/smtp/content_facts.h"

#include <cstdint>

namespace posthouse::queue {

class ContentInfo {
public:
    ContentInfo() = default;

    uint64_t offset = 0;
    uint64_t size = 0;   // bytes in wire form
    uint32_t crc32c = 0; // of these bytes
    smtp::ContentFacts facts;
};

} // namespace posthouse::queue
