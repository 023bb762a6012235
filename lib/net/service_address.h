// ServiceAddress: where a service that an administrator names in main.cf is to be reached, and a connection to it:
// an authentication service, a policy server, a milter, a filter.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/base/unique_fd.h"
#include "lib/event/loop.h"
#include "lib/event/task.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace posthouse::net {

class Resolver;

class ServiceAddress {
public:
    ServiceAddress() = default; // nowhere
    // "unix:private/auth", "inet:host:port", "inet:[::1]:port". The Error says what was expected.
    static Result<ServiceAddress> parse(std::string_view text);

    std::string path; // of a UNIX socket, as seen from where the process runs; else:
    std::string host; // a name or an address without brackets
    uint16_t port = 0;
    std::string to_text() const; // as the log shows it: "private/auth", "inet:host:port"

    friend bool operator==(const ServiceAddress&, const ServiceAddress&) = default;
};

// Tries each address of a host, in turn. `resolver` is asked for names only; may be empty when there are none.
Task<Result<UniqueFd>> connect_to_service(Loop& loop, ServiceAddress to, std::function<Resolver&()> resolver,
                                          Deadline deadline);

} // namespace posthouse::net
