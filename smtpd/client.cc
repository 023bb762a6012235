// Who the client is, see client.h: session.cc has its name looked up before the greeting.
#include "smtpd/client.h"

#include "lib/base/ascii.h"
#include "lib/net/resolver.h"
#include "smtpd/hostname.h"

#include <algorithm>

namespace posthouse::smtpd {

Client::Client(const net::SocketAddress& peer)
{
    // A UNIX socket (or standard input) is this host.
    if (peer.is_unix()) {
        ip = *net::IpAddress::parse("127.0.0.1");
        name = "localhost";
        reverse_name = "localhost";
        state = NameState::Found;
        reverse_state = NameState::Found;
    } else {
        ip = peer.ip.unmapped();
        port = std::to_string(peer.port);
    }
    address = ip.to_text();
}

Client::Client(const Ends& ends) : Client(ends.client)
{
    server_ip = ends.server.ip.unmapped();
    server_port = ends.server.port;
}

// The PTR's name counts when it leads back to the address; anyone can put any name into a PTR record.
Task<void> look_up_name(Client& client, net::Resolver& resolver, Deadline deadline)
{
    auto pointers = co_await resolver.ptr(client.ip, deadline);
    if (!pointers.found() || pointers.names.empty() || !is_hostname(pointers.names.front())) {
        client.reverse_state = pointers.temporary() ? NameState::Temporary : NameState::Unknown;
        client.state = client.reverse_state;
        co_return;
    }
    const std::string name = pointers.names.front();
    client.reverse_name = name;
    client.reverse_state = NameState::Found;
    const net::Family family = client.ip.v4() ? net::Family::V4 : net::Family::V6;
    auto forward = co_await resolver.addresses(name, family, deadline);
    if (forward.temporary()) {
        client.state = NameState::Temporary;
        co_return;
    }
    const bool leads_back = forward.found()
                            && std::find(forward.addresses.begin(), forward.addresses.end(), client.ip)
                                   != forward.addresses.end();
    client.state = leads_back ? NameState::Found : NameState::Forged;
    if (leads_back)
        client.name = name;
}

std::string network_of(const net::IpAddress& address, int v4_prefix, int v6_prefix)
{
    std::string key(address.bytes());
    auto keep = static_cast<size_t>(address.v4() ? v4_prefix : v6_prefix);
    for (char& byte : key) {
        const size_t bits = std::min<size_t>(keep, 8);
        byte = static_cast<char>(static_cast<unsigned char>(byte) & (0xff00u >> bits));
        keep -= bits;
    }
    return key;
}

} // namespace posthouse::smtpd
