// The addresses of this host, see own_addresses.h: for local_domains.cc, local_clients.cc and smtp's search for hosts.
#include "lib/queue/own_addresses.h"

#include "lib/base/ascii.h"
#include "lib/log/log.h"

#include <algorithm>
#include <ifaddrs.h>
#include <memory>
#include <netdb.h>
#include <optional>
#include <string>
#include <utility>

namespace posthouse::queue {

namespace {

net::IpAddress ip_of(const sockaddr* address, socklen_t length)
{
    sockaddr_storage storage{};
    std::copy_n(reinterpret_cast<const char*>(address), length, reinterpret_cast<char*>(&storage));
    return net::SocketAddress::from_sockaddr(storage, length).ip;
}

void add_interfaces(bool loopback_only, std::vector<net::IpAddress>& into)
{
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) {
        log::warning("cannot list the network interfaces of this host");
        return;
    }
    const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, freeifaddrs);
    for (const ifaddrs* each = list; each; each = each->ifa_next) {
        if (!each->ifa_addr)
            continue;
        const bool v4 = each->ifa_addr->sa_family == AF_INET;
        if (!v4 && each->ifa_addr->sa_family != AF_INET6)
            continue;
        const net::IpAddress ip =
            ip_of(each->ifa_addr, v4 ? socklen_t(sizeof(sockaddr_in)) : socklen_t(sizeof(sockaddr_in6)));
        if (!loopback_only || ip.is_loopback())
            into.push_back(ip);
    }
}

void add_name(const std::string& parameter, const std::string& name, std::vector<net::IpAddress>& into)
{
    std::string_view text = name;
    if (text.size() > 2 && text.front() == '[' && text.back() == ']')
        text = text.substr(1, text.size() - 2);
    if (auto ip = net::IpAddress::parse(text)) {
        into.push_back(*ip);
        return;
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) {
        log::warning(parameter, ": host not found: ", name);
        return;
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
    for (const addrinfo* each = found; each; each = each->ai_next)
        into.push_back(ip_of(each->ai_addr, each->ai_addrlen));
}

} // namespace

OwnAddresses::OwnAddresses(std::vector<net::IpAddress> addresses) : addresses_(std::move(addresses))
{
    std::sort(addresses_.begin(), addresses_.end());
    addresses_.erase(std::unique(addresses_.begin(), addresses_.end()), addresses_.end());
}

OwnAddresses OwnAddresses::from_config(const config::Config& config)
{
    std::vector<net::IpAddress> addresses;
    for (const char* parameter : {"inet_interfaces", "proxy_interfaces"}) {
        for (const std::string& item : config.list(parameter)) {
            if (ascii::equal(item, "all"))
                add_interfaces(false, addresses);
            else if (ascii::equal(item, "loopback-only"))
                add_interfaces(true, addresses);
            else
                add_name(parameter, item, addresses);
        }
    }
    return OwnAddresses(std::move(addresses));
}

bool OwnAddresses::contains(const net::IpAddress& address) const
{
    return std::binary_search(addresses_.begin(), addresses_.end(), address.unmapped());
}

bool OwnAddresses::contains_literal(std::string_view domain) const
{
    if (domain.size() < 3 || domain.front() != '[' || domain.back() != ']')
        return false;
    domain = domain.substr(1, domain.size() - 2);
    if (ascii::starts_with(domain, "ipv6:")) // RFC 5321 section 4.1.3
        domain.remove_prefix(5);
    const auto ip = net::IpAddress::parse(domain);
    return ip && contains(*ip);
}

} // namespace posthouse::queue
