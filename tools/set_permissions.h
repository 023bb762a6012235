// posthouse set-permissions: owners and modes of an installed instance, as root.
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"
#include "lib/config/fault.h"

#include <vector>

namespace posthouse::tools {

// The directories of lib/service/directories.h, then group setgid_group and the set-gid bit for postdrop
// and postqueue in command_directory.
Result<void> set_permissions(const config::Config& config);

// For root: a warning for each of the two that has lost owner, group or mode, with the command that mends it.
std::vector<config::Fault> check_set_gid_commands(const config::Config& config);

} // namespace posthouse::tools
