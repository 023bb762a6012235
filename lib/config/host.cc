// Facts about the machine: see host.h.
#include "lib/config/host.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

namespace posthouse::config {

namespace {

std::string masked(const unsigned char* address, size_t size, unsigned prefix)
{
    unsigned char bytes[16] = {};
    for (size_t i = 0; i < size; ++i) {
        unsigned bits = prefix > i * 8 ? std::min(8U, prefix - static_cast<unsigned>(i) * 8) : 0;
        bytes[i] = static_cast<unsigned char>(address[i] & (0xff00U >> bits));
    }
    char text[INET6_ADDRSTRLEN];
    bool v6 = size == 16;
    inet_ntop(v6 ? AF_INET6 : AF_INET, bytes, text, sizeof text);
    return v6 ? cat('[', text, "]/", prefix) : cat(text, '/', prefix);
}

unsigned prefix_of(const unsigned char* mask, size_t size)
{
    unsigned bits = 0;
    for (size_t i = 0; i < size; ++i)
        bits += static_cast<unsigned>(__builtin_popcount(mask[i]));
    return bits;
}

unsigned classful_prefix(unsigned char first)
{
    return first < 128 ? 8 : first < 192 ? 16 : 24;
}

// The address bytes of a sockaddr, or nullptr when it is neither IPv4 nor IPv6.
const unsigned char* address_bytes(const sockaddr* address, size_t& size)
{
    if (address == nullptr)
        return nullptr;
    if (address->sa_family == AF_INET) {
        size = 4;
        return reinterpret_cast<const unsigned char*>(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr);
    }
    if (address->sa_family == AF_INET6) {
        size = 16;
        return reinterpret_cast<const unsigned char*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
    }
    return nullptr;
}

bool link_local(const unsigned char* address, size_t size)
{
    return size == 16 && address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

} // namespace

Host::Network Host::network(const unsigned char* address, size_t size, unsigned prefix)
{
    Network network;
    unsigned full = static_cast<unsigned>(size) * 8;
    network.alone = masked(address, size, full);
    network.subnet = masked(address, size, prefix);
    network.address = network.alone.substr(0, network.alone.rfind('/'));
    network.classful = size == 4 ? masked(address, size, classful_prefix(address[0])) : network.subnet;
    static const unsigned char v6_loopback[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    network.loopback = size == 4 ? address[0] == 127 : std::memcmp(address, v6_loopback, 16) == 0;
    // The whole of 127.0.0.0/8 is this host, whatever the interface's mask.
    if (network.loopback && size == 4)
        network.alone = network.subnet = "127.0.0.0/8";
    return network;
}

Host Host::of_this_machine()
{
    Host host;
    char name[256] = {};
    if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0')
        std::strcpy(name, "localhost");
    host.name = name;

    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0)
        return host;
    for (ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
        size_t size = 0;
        const unsigned char* address = address_bytes(at->ifa_addr, size);
        size_t mask_size = 0;
        const unsigned char* mask = address_bytes(at->ifa_netmask, mask_size);
        if (address == nullptr || (at->ifa_flags & IFF_UP) == 0 || link_local(address, size))
            continue;
        unsigned prefix = mask != nullptr && mask_size == size ? prefix_of(mask, size) : static_cast<unsigned>(size) * 8;
        host.networks.push_back(network(address, size, prefix));
    }
    freeifaddrs(list);
    return host;
}

Host Host::made_up()
{
    Host host;
    host.name = "host.example";
    static const unsigned char v4[4] = {127, 0, 0, 1};
    static const unsigned char v6[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    host.networks.push_back(network(v4, 4, 8));
    host.networks.push_back(network(v6, 16, 128));
    return host;
}

std::string Host::trusted_networks(const std::string& style, const std::vector<std::string>& interfaces) const
{
    auto listed = [&](const Network& network) {
        for (const std::string& item : interfaces) {
            std::string bare = network.address.front() == '[' ? network.address.substr(1, network.address.size() - 2)
                                                              : network.address;
            if (ascii::equal(item, "all") || item == network.address || item == bare ||
                ((ascii::equal(item, "loopback-only") || ascii::equal(item, "localhost")) && network.loopback))
                return true;
        }
        return false;
    };
    std::vector<std::string> found;
    for (const Network& network : networks) {
        // This host itself is trusted even where it listens on other addresses only.
        if (!listed(network) && !network.loopback)
            continue;
        const std::string& text = ascii::equal(style, "subnet")  ? network.subnet
                                  : ascii::equal(style, "class") ? network.classful
                                                                 : network.alone;
        if (std::find(found.begin(), found.end(), text) == found.end())
            found.push_back(text);
    }
    std::string all;
    for (const std::string& text : found)
        append_to(all, all.empty() ? "" : " ", text);
    return all;
}

} // namespace posthouse::config
