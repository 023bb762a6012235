// Opening the log where main.cf says: maillog_file or syslog. For daemons, master and commands.
#pragma once

#include "lib/base/result.h"

#include <string>

namespace posthouse::config {
class Config;
}

namespace posthouse::service {

// Lines are tagged syslog_name/program. Before chroot.
Result<void> open_log(const config::Config& config, const std::string& program);
// Syslog, under the default names: for a fault that keeps the proper log from being opened.
void open_default_log(const std::string& program);

} // namespace posthouse::service
