// receive_override_options: what is left out for mail that comes to one service of master.cf, before or behind a
// content filter (Postfix's names).
#pragma once

#include "lib/config/config.h"

#include <string>
#include <vector>

namespace posthouse::queue {

class OverrideOptions {
public:
    explicit OverrideOptions(const config::Config& config);

    bool no_unknown_recipient_checks = false;
    bool no_address_mappings = false;   // canonical, masquerading, copies, virtual aliases
    bool no_header_body_checks = false;
    bool no_milters = false;
    std::vector<std::string> unknown; // words that are none of these
};

} // namespace posthouse::queue
