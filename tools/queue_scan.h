// The queue as its files tell it, while no queue manager runs: read-only, without why a message waits.
#pragma once

#include "lib/base/result.h"
#include "lib/queue/control_protocol.h"

#include <functional>
#include <string>

namespace posthouse::tools {

// Blocks. Calls `each` for every message in mail/; files that cannot be read are left out.
Result<void> scan_queue(const std::string& queue_directory, const std::function<void(const queue::ListEntry&)>& each);

} // namespace posthouse::tools
