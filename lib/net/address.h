// Network addresses as values: IP addresses, socket addresses (IP and port, or a UNIX path) and
// networks. Parsing is strict and never asks a name server.
#pragma once

#include "lib/base/result.h"

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace posthouse::net {

class IpAddress {
public:
    IpAddress() = default; // 0.0.0.0
    // "192.0.2.1" or "2001:db8::1": no brackets, no "IPv6:" prefix, no zone.
    static std::optional<IpAddress> parse(std::string_view text);
    static IpAddress from_v4(const unsigned char* four_bytes);
    static IpAddress from_v6(const unsigned char* sixteen_bytes);

    bool v4() const { return v4_; }
    bool is_loopback() const;
    bool is_unspecified() const; // 0.0.0.0 or ::
    // Network order, four or sixteen of them; valid while the address lives.
    std::string_view bytes() const;
    std::string to_text() const;
    // ::ffff:192.0.2.1 becomes 192.0.2.1, anything else stays.
    IpAddress unmapped() const;
    // The labels of a reverse lookup without the zone: "1.2.0.192", or 32 nibbles. Also for DNS lists.
    std::string reversed() const;

    friend bool operator==(const IpAddress&, const IpAddress&) = default;
    friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

private:
    bool v4_ = true;
    std::array<unsigned char, 16> bytes_{};
};

class SocketAddress {
public:
    SocketAddress() = default; // 0.0.0.0:0
    SocketAddress(IpAddress address, uint16_t port_number);
    static SocketAddress unix_path(std::string path);
    // IPv4-mapped IPv6 addresses become IPv4. Unknown families give 0.0.0.0:0.
    static SocketAddress from_sockaddr(const sockaddr_storage& from, socklen_t length);
    static SocketAddress peer_of(int fd);
    static SocketAddress local_of(int fd);

    bool is_unix() const { return !path.empty() || unnamed_unix; }
    // Fills `into`; 0 when a UNIX path is too long.
    socklen_t to_sockaddr(sockaddr_storage& into) const;
    std::string to_text() const; // "127.0.0.1:25", "[::1]:25", "unix:/path"

    friend bool operator==(const SocketAddress&, const SocketAddress&) = default;

    IpAddress ip;
    uint16_t port = 0;
    std::string path;          // of a UNIX socket
    bool unnamed_unix = false; // the peer of a UNIX socket
};

// A network: "10.0.0.0/8", "[2001:db8::]/32", or one address.
class Cidr {
public:
    // Bits set behind the mask are an error, as an administrator's slip that must not go unseen.
    static Result<Cidr> parse(std::string_view text);
    Cidr(IpAddress network, unsigned prefix_length) : network_(network), length_(prefix_length) {}
    bool contains(const IpAddress& address) const;
    std::string to_text() const;
    const IpAddress& network() const { return network_; }
    unsigned prefix_length() const { return length_; }

private:
    IpAddress network_;
    unsigned length_;
};

} // namespace posthouse::net
