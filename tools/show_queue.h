// The listing that mailq and `postqueue -p`/`-j` print.
#pragma once

#include "lib/config/config.h"

#include <memory>
#include <string>
#include <string_view>

namespace posthouse::tools {

enum class ListingStyle : unsigned char { Table, Json };

// Asks the queue manager; reads the queue files when it does not run. Prints to standard output; returns
// an exit code of sysexits.h. `program` is the name in messages.
int show_queue(const config::Config& config, ListingStyle style, std::string_view program);

// Config for a command: -c or MAIL_CONFIG or the built-in directory; null when it cannot be used, with all faults on
// standard error. Mere warnings are left to `posthouse check`.
std::unique_ptr<config::Config> command_config(const std::string& directory_option, std::string_view program);

} // namespace posthouse::tools
