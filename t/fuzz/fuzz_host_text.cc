// Where mail may go, as people write it: next hops (transport maps, relayhost) and /etc/hosts. A next hop
// that is understood has a name, and a port unless it is a socket.
#include "lib/net/hosts_file.h"
#include "smtp/destination.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace posthouse;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const bool lmtp : {false, true}) {
        const auto all = smtp_client::parse_destinations(text, lmtp, 25);
        if (!all)
            continue;
        for (const smtp_client::Destination& one : *all) {
            const bool socket = one.kind == smtp_client::Destination::Kind::UnixSocket;
            const bool domain = one.kind == smtp_client::Destination::Kind::Domain;
            if (one.name.empty() || (!socket && one.port == 0) || (lmtp && domain) || (!lmtp && socket))
                std::abort();
        }
    }
    const net::HostsFile hosts(text);
    if (const auto* addresses = hosts.addresses("localhost"); addresses && addresses->empty())
        std::abort();
    return 0;
}
