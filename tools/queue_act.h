// What postsuper does to queue files itself, while no queue manager runs. Blocks.
#pragma once

#include "lib/base/result.h"
#include "lib/queue/control_protocol.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace posthouse::tools {

// Does `act` to every message that it names and that nobody holds; the answer is as qmgr's. The caller has the queue's
// lock (SlotFiles::lock_queue). Requeue only makes
// a message due at once: new routes are found by qmgr anyway.
Result<queue::ControlEnd> act_on_files(const std::string& queue_directory, const queue::ControlAct& act,
                                       const std::function<void(const std::string& id)>& done);

// Deletes damaged messages from corrupt/, the only thing that is ever done to them.
Result<queue::ControlEnd> delete_corrupt(const std::string& queue_directory, const queue::ControlAct& act,
                                         const std::function<void(const std::string& id)>& done);

// Makes the directories that are missing below mail/, looks into every file; `fault` hears of each that is damaged.
// Repairs nothing: qmgr sets damaged files aside when it starts. Returns how many messages are whole.
Result<uint64_t> check_structure(const std::string& queue_directory,
                                 const std::function<void(const std::string& path, const std::string& why)>& fault);

} // namespace posthouse::tools
