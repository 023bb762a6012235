// One process of a service: starting it, and the status socket to it (lib/service/status_protocol.h).
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/base/unique_fd.h"
#include "lib/service/status_protocol.h"

#include <string>
#include <sys/types.h>
#include <vector>

namespace posthouse::master {

struct ChildCommand {
    std::string path; // of the program
    std::vector<std::string> arguments; // argv[0] included
    std::vector<std::string> environment; // "NAME=value"
    std::vector<int> listeners;
    int shared_memory = -1; // of the service's processes; -1: none
};

class Child {
public:
    enum class State : unsigned char { Starting, Available, Loaded, Busy, Leaving };

    static Result<Child> start(const ChildCommand& command);

    pid_t pid() const { return pid_; }
    int status_fd() const { return status_.get(); }
    Instant started() const { return started_; }
    void say(service::MasterSays what) const;

    // Reads what it has said since. False when it has closed its end.
    bool hear();

    State state = State::Starting;
    bool was_available = false; // its start has succeeded
    bool dismissed = false;     // told to leave, however far it had come

private:
    Child(pid_t pid, UniqueFd status) : pid_(pid), status_(std::move(status)), started_(Instant::now()) {}
    pid_t pid_;
    UniqueFd status_;
    Instant started_;
};

} // namespace posthouse::master
