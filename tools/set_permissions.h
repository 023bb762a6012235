// posthouse set-permissions: owners and modes of an installed instance, as root.
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"

namespace posthouse::tools {

// The directories of lib/service/directories.h, then group setgid_group and the set-gid bit for postdrop
// and postqueue in command_directory.
Result<void> set_permissions(const config::Config& config);

} // namespace posthouse::tools
