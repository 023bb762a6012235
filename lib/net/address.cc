// Addresses and networks: see address.h.
#include "lib/net/address.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

#include <arpa/inet.h>
#include <cstring>
#include <netinet/in.h>
#include <sys/un.h>

namespace posthouse::net {

// ---- IpAddress

std::optional<IpAddress> IpAddress::parse(std::string_view text)
{
    char name[INET6_ADDRSTRLEN];
    if (text.empty() || text.size() >= sizeof name || text.find('\0') != std::string_view::npos)
        return std::nullopt;
    memcpy(name, text.data(), text.size());
    name[text.size()] = '\0';
    IpAddress address;
    address.v4_ = text.find(':') == std::string_view::npos;
    if (inet_pton(address.v4_ ? AF_INET : AF_INET6, name, address.bytes_.data()) != 1)
        return std::nullopt;
    return address;
}

IpAddress IpAddress::from_v4(const unsigned char* four_bytes)
{
    IpAddress address;
    memcpy(address.bytes_.data(), four_bytes, 4);
    return address;
}

IpAddress IpAddress::from_v6(const unsigned char* sixteen_bytes)
{
    IpAddress address;
    address.v4_ = false;
    memcpy(address.bytes_.data(), sixteen_bytes, 16);
    return address;
}

bool IpAddress::is_loopback() const
{
    if (v4_)
        return bytes_[0] == 127;
    return memcmp(bytes_.data(), &in6addr_loopback, 16) == 0;
}

bool IpAddress::is_unspecified() const { return bytes().find_first_not_of('\0') == std::string_view::npos; }

std::string_view IpAddress::bytes() const
{
    return std::string_view(reinterpret_cast<const char*>(bytes_.data()), v4_ ? 4u : 16u);
}

std::string IpAddress::to_text() const
{
    char text[INET6_ADDRSTRLEN];
    return inet_ntop(v4_ ? AF_INET : AF_INET6, bytes_.data(), text, sizeof text);
}

IpAddress IpAddress::unmapped() const
{
    static constexpr unsigned char prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (v4_ || memcmp(bytes_.data(), prefix, sizeof prefix) != 0)
        return *this;
    return from_v4(bytes_.data() + sizeof prefix);
}

std::string IpAddress::reversed() const
{
    std::string text;
    if (v4_)
        return cat(unsigned{bytes_[3]}, '.', unsigned{bytes_[2]}, '.', unsigned{bytes_[1]}, '.', unsigned{bytes_[0]});
    static constexpr char digits[] = "0123456789abcdef";
    for (size_t i = 16; i-- > 0;)
        append_to(text, digits[bytes_[i] & 15], '.', digits[bytes_[i] >> 4], '.');
    text.pop_back();
    return text;
}

// ---- SocketAddress

SocketAddress::SocketAddress(IpAddress address, uint16_t port_number) : ip(address), port(port_number) {}

SocketAddress SocketAddress::unix_path(std::string path)
{
    SocketAddress address;
    address.path = std::move(path);
    address.unnamed_unix = address.path.empty();
    return address;
}

SocketAddress SocketAddress::from_sockaddr(const sockaddr_storage& from, socklen_t length)
{
    if (from.ss_family == AF_INET && length >= sizeof(sockaddr_in)) {
        const auto& in = reinterpret_cast<const sockaddr_in&>(from);
        return SocketAddress(IpAddress::from_v4(reinterpret_cast<const unsigned char*>(&in.sin_addr)),
                             ntohs(in.sin_port));
    }
    if (from.ss_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
        const auto& in6 = reinterpret_cast<const sockaddr_in6&>(from);
        return SocketAddress(IpAddress::from_v6(in6.sin6_addr.s6_addr).unmapped(), ntohs(in6.sin6_port));
    }
    if (from.ss_family == AF_UNIX) {
        const auto& un = reinterpret_cast<const sockaddr_un&>(from);
        const size_t offset = offsetof(sockaddr_un, sun_path);
        const size_t room = length > offset ? length - offset : 0;
        return unix_path(std::string(un.sun_path, strnlen(un.sun_path, room)));
    }
    return SocketAddress();
}

SocketAddress SocketAddress::peer_of(int fd)
{
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0)
        return SocketAddress();
    return from_sockaddr(storage, length);
}

SocketAddress SocketAddress::local_of(int fd)
{
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0)
        return SocketAddress();
    return from_sockaddr(storage, length);
}

socklen_t SocketAddress::to_sockaddr(sockaddr_storage& into) const
{
    memset(&into, 0, sizeof into);
    if (is_unix()) {
        auto& un = reinterpret_cast<sockaddr_un&>(into);
        if (path.empty() || path.size() >= sizeof un.sun_path)
            return 0;
        un.sun_family = AF_UNIX;
        memcpy(un.sun_path, path.data(), path.size());
        return sizeof un;
    }
    if (ip.v4()) {
        auto& in = reinterpret_cast<sockaddr_in&>(into);
        in.sin_family = AF_INET;
        in.sin_port = htons(port);
        memcpy(&in.sin_addr, ip.bytes().data(), 4);
        return sizeof in;
    }
    auto& in6 = reinterpret_cast<sockaddr_in6&>(into);
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    memcpy(&in6.sin6_addr, ip.bytes().data(), 16);
    return sizeof in6;
}

std::string SocketAddress::to_text() const
{
    if (is_unix())
        return cat("unix:", path);
    if (ip.v4())
        return cat(ip.to_text(), ':', port);
    return cat('[', ip.to_text(), "]:", port);
}

// ---- Cidr

namespace {
// The first `length` bits of both are the same.
bool same_prefix(std::string_view a, std::string_view b, unsigned length)
{
    const size_t whole = length / 8;
    if (a.substr(0, whole) != b.substr(0, whole))
        return false;
    const unsigned rest = length % 8;
    return rest == 0 || ((static_cast<unsigned char>(a[whole]) ^ static_cast<unsigned char>(b[whole])) >> (8 - rest)) == 0;
}

std::string masked(std::string_view bytes, unsigned length)
{
    std::string result(bytes);
    for (size_t i = 0; i < result.size(); ++i) {
        const unsigned kept = length <= 8 * i ? 0 : std::min(8u, length - static_cast<unsigned>(8 * i));
        result[i] = static_cast<char>(result[i] & (0xff00 >> kept));
    }
    return result;
}
} // namespace

Result<Cidr> Cidr::parse(std::string_view text)
{
    const std::string whole(text);
    const size_t slash = text.rfind('/');
    std::string_view address_text = text.substr(0, slash);
    if (address_text.size() > 2 && address_text.front() == '[' && address_text.back() == ']')
        address_text = address_text.substr(1, address_text.size() - 2);
    else if (address_text.find_first_of("[]") != std::string_view::npos)
        return Error(ErrorKind::Config, cat("bad address pattern: \"", whole, '"'));
    const auto address = IpAddress::parse(address_text);
    if (!address)
        return Error(ErrorKind::Config, cat("bad address pattern: \"", whole, '"'));
    const unsigned most = address->v4() ? 32 : 128;
    if (slash == std::string_view::npos)
        return Cidr(*address, most);
    const auto length = ascii::parse_unsigned(text.substr(slash + 1));
    if (!length || *length > most)
        return Error(ErrorKind::Config, cat("bad prefix length in \"", whole, '"'));
    const Cidr result(*address, static_cast<unsigned>(*length));
    const std::string network = masked(address->bytes(), result.length_);
    if (network != address->bytes()) {
        const auto* bytes = reinterpret_cast<const unsigned char*>(network.data());
        const IpAddress proper = address->v4() ? IpAddress::from_v4(bytes) : IpAddress::from_v6(bytes);
        return Error(ErrorKind::Config, cat("non-null host address bits in \"", whole, "\", perhaps you should use \"",
                                            proper.to_text(), '/', result.length_, "\" instead"));
    }
    return result;
}

bool Cidr::contains(const IpAddress& address) const
{
    return address.v4() == network_.v4() && same_prefix(address.bytes(), network_.bytes(), length_);
}

std::string Cidr::to_text() const { return cat(network_.to_text(), '/', length_); }

} // namespace posthouse::net
