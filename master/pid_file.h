// queue_directory/pid/master.pid: the lock that makes sure of one master for a queue. It falls with the
// process that holds it, so what a crash leaves behind is no obstacle.
#pragma once

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

#include <string>

namespace posthouse::master {

// Takes the lock; keep the descriptor open (a fork shares it). An Error when another master holds it.
Result<UniqueFd> lock_pid_file(const std::string& queue_directory);

// Makes the file say our own pid: after the last fork.
Result<void> write_pid(const UniqueFd& locked);

} // namespace posthouse::master
