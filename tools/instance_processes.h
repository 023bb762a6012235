// The processes of a running instance, for posthouse status, stop and abort.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace posthouse::tools {

// The pid in queue_directory/pid/master.pid, when a master holds the file's lock.
std::optional<pid_t> running_master(const std::string& queue_directory);

struct Process {
    pid_t pid = 0;
    std::string name;
    std::string user;
    long age_seconds = 0;
};

// Children of `pid` and theirs, by pid.
std::vector<Process> processes_below(pid_t pid);

std::string age_text(long seconds); // "3d 4h", "2h 5m", "17s"

} // namespace posthouse::tools
