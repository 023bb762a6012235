// Making listening and connected sockets. All descriptors are non-blocking and close-on-exec.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/base/unique_fd.h"
#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/net/address.h"

#include <optional>
#include <string>
#include <sys/types.h>

namespace posthouse::net {

// IPv6 sockets take IPv6 only. Port 0 lets the kernel choose: see SocketAddress::local_of. Accepted connections
// inherit TCP_NODELAY, SO_KEEPALIVE and the window: the size of socket buffers in bytes, 0 for the system's own.
Result<UniqueFd> listen_tcp(const SocketAddress& at, int backlog, int window = 0);

// Replaces an old socket of that name, never any other kind of file.
Result<UniqueFd> listen_unix(const std::string& path, mode_t mode, int backlog);

// TCP or UNIX. `bind_address` is the source address for TCP.
Task<Result<UniqueFd>> connect_to(Loop& loop, const SocketAddress& to, const std::optional<IpAddress>& bind_address,
                                  Deadline deadline, int window = 0);

} // namespace posthouse::net
