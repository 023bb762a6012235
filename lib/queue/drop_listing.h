// What waits in maildrop/, for the queue's listing: by qmgr in its thread pool, and by the commands while no queue
// manager runs. pickup, which takes it in, is not asked: it may be the one that does not run. Only reads; what is being
// written is left out.
#pragma once

#include "lib/base/result.h"
#include "lib/queue/control_protocol.h"

#include <string>
#include <vector>

namespace posthouse::queue {

// Names of the drops, in order. Blocks. An Error when the folder cannot be read.
Result<std::vector<std::string>> list_drops(const std::string& queue_directory);

// How a drop is listed: one entry, or several when it has many recipients; none when it has gone, or is not complete. One
// that cannot be read, or is damaged, is listed with the reason. Reads the whole file. Blocks.
std::vector<ListEntry> listed_drop(const std::string& queue_directory, const std::string& name);

} // namespace posthouse::queue
