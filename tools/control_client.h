// ControlClient: how the operator's commands talk to qmgr (public/qmgr). Blocks: for commands only. Owns a
// loop of its own.
#pragma once

#include "lib/base/result.h"
#include "lib/queue/control_protocol.h"

#include <functional>
#include <memory>
#include <string>

namespace posthouse::ipc {
class Frame;
}

namespace posthouse::tools {

class ControlClient {
public:
    // To the queue manager of the instance with this queue_directory. An Error: it does not run, or the
    // caller may not reach it.
    static Result<std::unique_ptr<ControlClient>> connect(const std::string& queue_directory);
    ~ControlClient();
    ControlClient(const ControlClient&) = delete;
    ControlClient& operator=(const ControlClient&) = delete;

    // Sends the request and waits for its end; `each` gets the entries of a list as they come.
    Result<queue::ControlEnd> ask(ipc::Frame request,
                                  const std::function<void(const queue::ListEntry&)>& each = nullptr);

private:
    ControlClient();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace posthouse::tools
