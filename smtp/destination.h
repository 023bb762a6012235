// A next hop as transport maps and relayhost write it, taken apart. Pure.
//   example.com  example.com:2525   the MX hosts of the name
//   [mx.example.com]  [192.0.2.1]:25  [2001:db8::1]:25  [ipv6:2001:db8::1]   that host itself
//   unix:private/lmtp               LMTP: a socket, relative to queue_directory
//   inet:host:24                    LMTP: a host, never MX
#pragma once

#include "lib/base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::smtp_client {

class Destination {
public:
    enum class Kind : unsigned char { Domain, Host, UnixSocket };
    Destination() = default;

    Kind kind = Kind::Domain;
    std::string name; // domain, host name, address without brackets, or path
    uint16_t port = 0;
    bool default_port = true;

    bool operator==(const Destination&) const = default;
};

// One destination. Kind::Domain does not occur with lmtp.
Result<Destination> parse_destination(std::string_view text, bool lmtp, uint16_t port);
// Several, separated by commas or blanks, to be tried in this order.
Result<std::vector<Destination>> parse_destinations(std::string_view text, bool lmtp, uint16_t port);

// "25" or one of the few names that mail uses; /etc/services is not read.
std::optional<uint16_t> port_number(std::string_view text);

} // namespace posthouse::smtp_client
