// Opening listening sockets: see listeners.h.
#include "lib/service/listeners.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/net/address.h"
#include "lib/net/socket.h"

#include <algorithm>
#include <cerrno>
#include <netdb.h>
#include <optional>
#include <sys/stat.h>

namespace posthouse::service {

namespace {

constexpr int backlog = 1024;

struct HostPort {
    std::string host; // empty: inet_interfaces
    std::string port;
};

HostPort split_name(const std::string& name)
{
    const size_t colon = name.rfind(':');
    if (colon == std::string::npos || (!name.empty() && name.back() == ']'))
        return HostPort{"", name};
    std::string host = name.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    return HostPort{host, name.substr(colon + 1)};
}

std::optional<uint16_t> find_port(const std::string& text)
{
    if (auto number = ascii::parse_unsigned(text); number && *number > 0 && *number < 65536)
        return static_cast<uint16_t>(*number);
    if (const servent* known = ::getservbyname(text.c_str(), "tcp"))
        return ntohs(static_cast<uint16_t>(known->s_port));
    return std::nullopt;
}

bool family_wanted(const net::IpAddress& address, const std::vector<std::string>& protocols)
{
    return std::any_of(protocols.begin(), protocols.end(), [&](const std::string& protocol) {
        return protocol == "all" || protocol == (address.v4() ? "ipv4" : "ipv6");
    });
}

Result<std::vector<net::IpAddress>> addresses_of(const std::string& host)
{
    std::vector<net::IpAddress> addresses;
    if (auto address = net::IpAddress::parse(host)) {
        addresses.push_back(*address);
        return addresses;
    }
    addrinfo hints = addrinfo();
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0)
        return Error(ErrorKind::Config, cat("no address for the host ", host, ": ", gai_strerror(error)));
    for (const addrinfo* at = found; at; at = at->ai_next) {
        sockaddr_storage storage = sockaddr_storage();
        std::copy_n(reinterpret_cast<const char*>(at->ai_addr), at->ai_addrlen, reinterpret_cast<char*>(&storage));
        const net::IpAddress address = net::SocketAddress::from_sockaddr(storage, at->ai_addrlen).ip;
        if (std::find(addresses.begin(), addresses.end(), address) == addresses.end())
            addresses.push_back(address);
    }
    ::freeaddrinfo(found);
    return addresses;
}

// What inet_interfaces names; "all" is the two wildcards.
Result<std::vector<net::IpAddress>> interfaces(const config::Config& config)
{
    std::vector<net::IpAddress> all;
    for (const std::string& word : config.list("inet_interfaces")) {
        if (word == "all") {
            all.push_back(*net::IpAddress::parse("0.0.0.0"));
            all.push_back(*net::IpAddress::parse("::"));
        } else if (word == "loopback-only") {
            all.push_back(*net::IpAddress::parse("127.0.0.1"));
            all.push_back(*net::IpAddress::parse("::1"));
        } else {
            auto some = addresses_of(word);
            if (!some)
                return std::move(some.error()).within("inet_interfaces");
            all.insert(all.end(), some->begin(), some->end());
        }
    }
    return all;
}

// On a port of the kernel's choice, to find out whether the addresses are there, or on the entry's own.
enum class Port : unsigned char { Any, Own };

Result<std::vector<UniqueFd>> open_inet(const config::Service& service, const config::Config& config, Port which)
{
    const HostPort name = split_name(service.name);
    const auto port = find_port(name.port);
    if (!port)
        return Error(ErrorKind::Config, cat("unknown port \"", name.port, "\""));
    auto addresses = name.host.empty() ? interfaces(config) : addresses_of(name.host);
    if (!addresses)
        return std::move(addresses.error());
    const std::vector<std::string> protocols = config.list("inet_protocols");
    const int window = static_cast<int>(config.number("tcp_windowsize"));
    std::vector<UniqueFd> sockets;
    for (const net::IpAddress& address : *addresses) {
        if (!family_wanted(address, protocols))
            continue;
        auto socket = net::listen_tcp(net::SocketAddress(address, which == Port::Own ? *port : uint16_t(0)), backlog, window);
        // A machine without IPv6 has no "::"; that is not what the administrator has to hear.
        const bool no_family = !socket && !address.v4() && protocols.size() == 1 && protocols[0] == "all"
            && (socket.error().errno_value() == EAFNOSUPPORT || socket.error().errno_value() == EADDRNOTAVAIL);
        if (no_family)
            continue;
        if (!socket) {
            if (socket.error().errno_value() == EADDRNOTAVAIL)
                return Error(ErrorKind::Config, cat("no interface of this host has the address ", address.to_text(),
                                                    name.host.empty() ? ": see inet_interfaces" : ""));
            return std::move(socket.error());
        }
        sockets.push_back(std::move(*socket));
    }
    if (sockets.empty())
        return Error(ErrorKind::Config, "no address to listen on: see inet_interfaces and inet_protocols");
    return sockets;
}

} // namespace

std::string unix_path(const config::Service& service)
{
    return cat(service.is_private() ? "private/" : "public/", service.name);
}

Result<std::vector<UniqueFd>> open_listeners(const config::Service& service, const config::Config& config)
{
    const std::string entry = cat("master.cf line ", service.line, ", service ", service.name);
    if (service.type == config::ServiceType::Inet) {
        auto sockets = open_inet(service, config, Port::Own);
        if (!sockets)
            return std::move(sockets.error()).within(entry);
        return sockets;
    }
    // Everybody may connect to a public socket, as far as the directory lets them: mode 0710.
    const mode_t mode = 0666;
    auto socket = net::listen_unix(cat(config.text("queue_directory"), '/', unix_path(service)), mode, backlog);
    if (!socket)
        return std::move(socket.error()).within(entry);
    std::vector<UniqueFd> sockets;
    sockets.push_back(std::move(*socket));
    // Besides the entry's own socket, for the operator's commands, one for those who bring mail.
    if (service.program == "qmgr" && !service.is_private()) {
        auto second = net::listen_unix(cat(config.text("queue_directory"), "/private/", service.name), mode, backlog);
        if (!second)
            return std::move(second.error()).within(entry);
        sockets.push_back(std::move(*second));
    }
    return sockets;
}

Result<void> check_listeners(const config::Service& service, const config::Config& config)
{
    if (service.type != config::ServiceType::Inet)
        return Result<void>();
    auto sockets = open_inet(service, config, Port::Any);
    return sockets ? Result<void>() : Result<void>(std::move(sockets.error()));
}

} // namespace posthouse::service
