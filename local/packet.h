// The packets that the router, the spawner and the workers send each other: a serial number, bytes, and at most one
// descriptor beside them.
#pragma once

#include "lib/base/unique_fd.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/socket.h>

namespace posthouse::local {

constexpr size_t serial_size = sizeof(uint64_t);

// As sendmsg(2) with `flags`. `fd`: what goes along, or -1.
ssize_t send_packet(int link, uint64_t serial, const std::string& bytes, int fd, int flags);

// What came along with a message of recvmsg(2). More than one is a mistake or malice: all are closed.
UniqueFd descriptor_of(msghdr& message);

} // namespace posthouse::local
