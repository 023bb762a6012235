// Names that survive a crash: the folder that holds a new file or folder has to be synced as well as the thing
// itself. Blocking; for workers.
#pragma once

#include "lib/base/result.h"

#include <string>

namespace posthouse::local {

// Syncs the folder that holds `path`. Temporary when that fails.
Result<void> sync_name(const std::string& path);

// The same for `path` and the folders that lead to it, as far up as these are young: whoever made them, an
// attempt that was killed for one, may not have come to it. What has existed for a while the system has
// written out by itself.
Result<void> sync_young_names(const std::string& path);

} // namespace posthouse::local
