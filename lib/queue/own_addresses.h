// The IP addresses at which mail for this host arrives: inet_interfaces ("all", "loopback-only" or a
// list) and proxy_interfaces. `user@[address]` of ours is local, a client at one of them is this host, and
// an MX that points to one of them is a loop. Read once, when a program starts.
#pragma once

#include "lib/config/config.h"
#include "lib/net/address.h"

#include <string_view>
#include <vector>

namespace posthouse::queue {

class OwnAddresses {
public:
    OwnAddresses() = default;
    explicit OwnAddresses(std::vector<net::IpAddress> addresses);
    // Names in the lists are looked up, which may block: for the start of a program.
    static OwnAddresses from_config(const config::Config& config);

    bool contains(const net::IpAddress& address) const;
    // "[192.0.2.1]" or "[IPv6:2001:db8::1]".
    bool contains_literal(std::string_view domain) const;
    const std::vector<net::IpAddress>& all() const { return addresses_; }

private:
    std::vector<net::IpAddress> addresses_; // sorted
};

} // namespace posthouse::queue
