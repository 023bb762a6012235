// Client: who is at the other end, as far as is known: its address, the name that DNS gives it, and
// what XCLIENT or XFORWARD said in its place.
#pragma once

#include "lib/base/cat.h"
#include "lib/base/time.h"
#include "lib/event/task.h"
#include "lib/net/address.h"

#include <string>

namespace posthouse::net {
class Resolver;
}

namespace posthouse::smtpd {

// What became of the look-up of the client's name.
enum class NameState : unsigned char {
    Found,     // the name, and the name's address is the client's
    Unknown,   // no name, or none that leads back
    Forged,    // a name whose address is not the client's
    Temporary, // DNS gave no answer
};

class Client {
public:
    Client() = default;
    explicit Client(const net::SocketAddress& peer);

    // "host.example.com[192.0.2.1]" as the log shows it.
    std::string label() const { return cat(name, '[', address, ']'); }
    // "192.0.2.1" or "IPv6:2001:db8::1" (RFC 5321 4.1.3).
    std::string literal() const { return ip.v4() ? address : cat("IPv6:", address); }

    net::IpAddress ip;
    std::string address;           // ip as text
    std::string port;              // "" for a UNIX socket or standard input
    std::string name = "unknown";  // verified: it leads back to the address
    std::string reverse_name = "unknown"; // what the PTR record says, verified or not
    NameState state = NameState::Unknown;
    NameState reverse_state = NameState::Unknown;
};

// Fills in the names and their states. `client` must outlive the task.
Task<void> look_up_name(Client& client, net::Resolver& resolver, Deadline deadline);

// The network of an address, as a key: the bits behind the prefix of its family are cleared.
std::string network_of(const net::IpAddress& address, int v4_prefix, int v6_prefix);

} // namespace posthouse::smtpd
