// The command line that master gives to a daemon; see status_protocol.h.
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"

#include <string>
#include <vector>

namespace posthouse::service {

class CommandLine {
public:
    CommandLine() = default;
    std::string directory; // after -c, MAIL_CONFIG and the default
    std::string service_name;
    bool chroot = false;
    bool give_up_root = false;
    bool check = false; // only say what is wrong with the settings
    size_t listeners = 0;
    config::Overrides overrides;
    std::vector<std::string> arguments;
};

// `words` is argv without the program's name.
Result<CommandLine> parse_command_line(const std::vector<std::string>& words);

} // namespace posthouse::service
