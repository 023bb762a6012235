// One kind of event that a filter is told of, as a row of data. For filter.cc and filter_message.cc alone.
#pragma once

#include "lib/milter/protocol.h"

#include <cstdint>

namespace posthouse::milter {

struct FilterEvent {
    // How far a refusal, or an early acceptance, reaches.
    enum Scope : uint8_t { OfSession, OfCommand, OfMail, OfRecipient, OfContent };

    char command;
    Stage stage;         // of its macros
    uint32_t unwanted;   // Step bits
    uint32_t unanswered;
    Scope scope;
    uint32_t since = oldest_version; // of the protocol
    bool has_macros = true;
};

} // namespace posthouse::milter
