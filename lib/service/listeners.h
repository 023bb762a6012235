// The listening sockets of one master.cf entry: opened once, kept across reloads and children.
#pragma once

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "lib/config/config.h"
#include "lib/config/master_cf.h"

#include <string>
#include <vector>

namespace posthouse::service {

// "smtp inet": one socket for each address of inet_interfaces (and family of inet_protocols);
// "host:port inet": those of the host; "name unix": private/name or public/name in queue_directory.
// An Error names the entry, the address, and what is in the way.
Result<std::vector<UniqueFd>> open_listeners(const config::Service& service, const config::Config& config);

// For `posthouse check`: whether the port and the addresses of an entry exist here. Whoever uses them is not disturbed.
Result<void> check_listeners(const config::Service& service, const config::Config& config);

// "private/smtp" or "public/qmgr".
std::string unix_path(const config::Service& service);

} // namespace posthouse::service
