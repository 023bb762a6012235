// Addresses of services in main.cf, see service_address.h.
#include "lib/net/service_address.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/net/resolver.h"
#include "lib/net/socket.h"

#include <vector>

namespace posthouse::net {

Result<ServiceAddress> ServiceAddress::parse(std::string_view text)
{
    const auto bad = [&](std::string_view why) {
        return Error(ErrorKind::Config, cat(text, ": ", why, "; expected unix:path or inet:host:port"));
    };
    ServiceAddress address;
    if (text.starts_with("unix:")) {
        address.path = text.substr(5);
        sockaddr_storage storage;
        if (address.path.empty())
            return bad("no path");
        if (SocketAddress::unix_path(address.path).to_sockaddr(storage) == 0)
            return bad("the path is too long for a socket");
        return address;
    }
    if (!text.starts_with("inet:"))
        return bad("neither unix: nor inet:");
    std::string_view rest = text.substr(5);
    const size_t colon = rest.rfind(':');
    if (colon == std::string_view::npos)
        return bad("no port");
    const auto port = ascii::parse_unsigned(rest.substr(colon + 1));
    rest = rest.substr(0, colon);
    if (rest.size() > 2 && rest.front() == '[' && rest.back() == ']')
        rest = rest.substr(1, rest.size() - 2);
    if (!port || *port == 0 || *port > 65535 || rest.empty())
        return bad("no host and port");
    address.host = rest;
    address.port = static_cast<uint16_t>(*port);
    return address;
}

std::string ServiceAddress::to_text() const
{
    return path.empty() ? cat("inet:", host, ':', port) : path;
}

Task<Result<UniqueFd>> connect_to_service(Loop& loop, ServiceAddress to, std::function<Resolver&()> resolver,
                                          Deadline deadline)
{
    if (!to.path.empty()) {
        const SocketAddress socket_address = SocketAddress::unix_path(to.path);
        co_return co_await connect_to(loop, socket_address, std::nullopt, deadline);
    }
    std::vector<IpAddress> addresses;
    if (const auto literal = IpAddress::parse(to.host)) {
        addresses.push_back(*literal);
    } else {
        auto answer = co_await resolver().addresses(to.host, Family::Any, deadline);
        if (!answer.found())
            co_return Error(ErrorKind::Temporary, answer.detail.empty() ? "no address" : answer.detail);
        addresses = std::move(answer.addresses);
    }
    Result<UniqueFd> socket = Error(ErrorKind::Temporary, "no address");
    for (const IpAddress& ip : addresses) {
        const SocketAddress socket_address(ip, to.port);
        socket = co_await connect_to(loop, socket_address, std::nullopt, deadline);
        if (socket)
            break;
    }
    co_return socket;
}

} // namespace posthouse::net
