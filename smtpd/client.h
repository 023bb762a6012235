// Client: who is at the other end, as far as is known: its address, the name that DNS gives it, and
// what XCLIENT or XFORWARD said in its place.
#pragma once

#include "lib/base/cat.h"
#include "lib/base/time.h"
#include "lib/event/task.h"
#include "lib/net/address.h"

#include <cstdint>
#include <string>
#include <utility>

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

// Of one connection: who has opened it, and to which of our addresses.
class Ends {
public:
    Ends(net::SocketAddress its_client, net::SocketAddress its_server)
        : client(std::move(its_client)), server(std::move(its_server))
    {
    }
    // "[192.0.2.1]:4711" as postscreen has it in the log.
    std::string client_text() const { return cat('[', client.ip.to_text(), "]:", client.port); }
    std::string server_text() const { return cat('[', server.ip.to_text(), "]:", server.port); }

    net::SocketAddress client;
    net::SocketAddress server;
};

class Client {
public:
    Client() = default;
    explicit Client(const net::SocketAddress& peer);
    explicit Client(const Ends& ends);

    // "host.example.com[192.0.2.1]" as the log shows it.
    std::string label() const { return cat(name, '[', address, ']'); }
    // "192.0.2.1" or "IPv6:2001:db8::1" (RFC 5321 4.1.3).
    std::string literal() const { return ip.v4() ? address : cat("IPv6:", address); }

    net::IpAddress ip;
    net::IpAddress server_ip;      // that the client has connected to
    uint16_t server_port = 0;      // 0: not known, as for a UNIX socket
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
