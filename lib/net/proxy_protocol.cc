// PROXY headers: see proxy_protocol.h.
#include "lib/net/proxy_protocol.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/socket.h>

namespace posthouse::net {

namespace {

constexpr std::string_view line_start = "PROXY ";
constexpr std::string_view signature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t fixed_size = ProxyHeaderParser::fixed_size;
constexpr size_t v4_size = 12;    // two addresses, two ports
constexpr size_t v6_size = 36;
constexpr size_t peek_size = 512; // most headers arrive whole

Error bad(std::string text) { return Error(ErrorKind::Permanent, std::move(text)); }

unsigned byte_at(std::string_view bytes, size_t at) { return static_cast<unsigned char>(bytes[at]); }

uint16_t port_at(std::string_view bytes, size_t at)
{
    return static_cast<uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}

std::optional<uint16_t> parse_port(std::string_view text)
{
    if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0'))
        return std::nullopt;
    const auto number = ascii::parse_unsigned(text);
    if (!number || *number > 65535)
        return std::nullopt;
    return static_cast<uint16_t>(*number);
}

// The words between single blanks; false when there are more or less of them.
template <size_t Count>
bool split(std::string_view text, std::array<std::string_view, Count>& words)
{
    for (size_t at = 0; at < Count; ++at) {
        const size_t blank = text.find(' ');
        words[at] = text.substr(0, blank);
        const bool last = at + 1 == Count;
        if (words[at].empty() || (blank == std::string_view::npos) != last)
            return false;
        text.remove_prefix(last ? text.size() : blank + 1);
    }
    return true;
}

// "PROXY TCP4 192.0.2.1 198.51.100.1 56324 25", without the line end.
Result<ProxyHeader> parse_line(std::string_view line)
{
    ProxyHeader header;
    const std::string_view rest = line.substr(line_start.size());
    if (rest == "UNKNOWN" || rest.starts_with("UNKNOWN ")) { // what follows is to be ignored
        header.own_connection = true;
        return header;
    }
    std::array<std::string_view, 5> words;
    if (!split(rest, words) || (words[0] != "TCP4" && words[0] != "TCP6"))
        return bad("expected TCP4 or TCP6, two addresses and two ports");
    const auto source = IpAddress::parse(words[1]);
    const auto destination = IpAddress::parse(words[2]);
    const bool v4 = words[0] == "TCP4";
    if (!source || !destination || source->v4() != v4 || destination->v4() != v4)
        return bad("an address that is none, or not of the family that it names");
    const auto source_port = parse_port(words[3]);
    const auto destination_port = parse_port(words[4]);
    if (!source_port || !destination_port)
        return bad("a port that is none");
    header.source = SocketAddress(source->unmapped(), *source_port);
    header.destination = SocketAddress(destination->unmapped(), *destination_port);
    return header;
}

IpAddress address_at(std::string_view bytes, size_t at, bool v4)
{
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data()) + at;
    return v4 ? IpAddress::from_v4(data) : IpAddress::from_v6(data).unmapped();
}

// Of version 2, how much of the header has a meaning here: fixed part and addresses, without the TLVs.
size_t meaningful_size(std::string_view fixed, size_t whole)
{
    const unsigned family = byte_at(fixed, 13) >> 4;
    const size_t addresses = family == 1 ? v4_size : family == 2 ? v6_size : 0;
    return std::min(whole, fixed_size + addresses);
}

Result<ProxyHeader> parse_binary(std::string_view bytes)
{
    ProxyHeader header;
    const unsigned command = byte_at(bytes, 12) & 0x0f;
    const unsigned family = byte_at(bytes, 13);
    // LOCAL: the family does not count. UNSPEC: the proxy does not know.
    if (command == 0 || family == 0) {
        header.own_connection = true;
        return header;
    }
    const bool v4 = family == 0x11;
    if (!v4 && family != 0x21)
        return bad("neither TCP over IPv4 nor over IPv6");
    const size_t address_size = v4 ? 4 : 16;
    if (bytes.size() < fixed_size + 2 * address_size + 4)
        return bad("too short for its addresses");
    const size_t ports = fixed_size + 2 * address_size;
    header.source = SocketAddress(address_at(bytes, fixed_size, v4), port_at(bytes, ports));
    header.destination = SocketAddress(address_at(bytes, fixed_size + address_size, v4), port_at(bytes, ports + 2));
    return header;
}

} // namespace

Result<size_t> ProxyHeaderParser::take(std::string_view bytes)
{
    size_t taken = 0;
    while (!done() && taken < bytes.size()) {
        auto some = take_some(bytes.substr(taken));
        if (!some)
            return std::move(some.error());
        taken += *some;
    }
    return taken;
}

// The first byte tells which version it would be; each further one has to fit.
Result<size_t> ProxyHeaderParser::take_some(std::string_view bytes)
{
    if (version_ == Version::NotKnown)
        version_ = bytes.front() == signature.front() ? Version::Two : Version::One;
    return version_ == Version::Two ? take_binary(bytes) : take_line(bytes);
}

Result<size_t> ProxyHeaderParser::take_line(std::string_view bytes)
{
    const size_t lf = bytes.find('\n');
    const size_t count = lf == std::string_view::npos ? bytes.size() : lf + 1;
    if (kept_.size() + count > longest_v1)
        return bad(cat("a line longer than ", longest_v1, " bytes, or none"));
    kept_.append(bytes.substr(0, count));
    seen_ += count;
    const size_t to_compare = std::min(kept_.size(), line_start.size());
    if (std::string_view(kept_).substr(0, to_compare) != line_start.substr(0, to_compare))
        return bad("it does not begin with a PROXY header");
    if (lf == std::string_view::npos)
        return count;
    if (!kept_.ends_with("\r\n"))
        return bad("a line that does not end with CR LF");
    auto header = parse_line(std::string_view(kept_).substr(0, kept_.size() - 2));
    if (!header)
        return std::move(header.error());
    header_ = std::move(*header);
    return count;
}

// The first part, of a fixed size: what follows, and how much.
Result<void> ProxyHeaderParser::begin_binary()
{
    const size_t known = std::min(kept_.size(), signature.size());
    if (std::string_view(kept_).substr(0, known) != signature.substr(0, known))
        return bad("it does not begin with a PROXY header");
    if (kept_.size() < fixed_size)
        return Result<void>();
    const unsigned version_and_command = byte_at(kept_, 12);
    if (version_and_command != 0x20 && version_and_command != 0x21)
        return bad("a version or a command that is not known");
    length_ = fixed_size + port_at(kept_, 14);
    if (length_ > longest_v2)
        return bad(cat("a header longer than ", longest_v2, " bytes"));
    to_keep_ = meaningful_size(kept_, length_);
    return Result<void>();
}

Result<size_t> ProxyHeaderParser::take_binary(std::string_view bytes)
{
    const bool skipping = kept_.size() == to_keep_;
    const size_t count = std::min(bytes.size(), skipping ? length_ - seen_ : to_keep_ - kept_.size());
    seen_ += count;
    if (!skipping)
        kept_.append(bytes.substr(0, count));
    if (length_ == 0)
        RETURN_IF_ERROR(begin_binary());
    if (length_ == 0 || seen_ < length_)
        return count;
    auto header = parse_binary(kept_);
    if (!header)
        return std::move(header.error());
    header_ = std::move(*header);
    return count;
}

// ---- from a socket

namespace {

// Reads away what is there anyway.
Result<void> discard(int fd, size_t count)
{
    char bytes[peek_size];
    while (count > 0) {
        const ssize_t got = ::recv(fd, bytes, std::min(count, sizeof bytes), 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? Error::system("read", errno) : Error::disconnected("lost connection");
        count -= static_cast<size_t>(got);
    }
    return Result<void>();
}

enum class Step : unsigned char { Wait, Done, Ended };

// As far as what has arrived reaches.
Result<Step> take_what_is_there(int fd, ProxyHeaderParser& parser)
{
    while (!parser.done()) {
        char bytes[peek_size];
        const ssize_t got = ::recv(fd, bytes, sizeof bytes, MSG_PEEK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return Step::Wait;
        if (got < 0)
            return errno == ECONNRESET ? Error::disconnected("lost connection") : Error::system("read", errno);
        if (got == 0)
            return Step::Ended;
        auto taken = parser.take(std::string_view(bytes, static_cast<size_t>(got)));
        if (!taken)
            return std::move(taken.error());
        RETURN_IF_ERROR(discard(fd, *taken));
    }
    return Step::Done;
}

} // namespace

Task<Result<std::optional<ProxyHeader>>> read_proxy_header(ByteStream& stream, Deadline deadline)
{
    ProxyHeaderParser parser;
    while (true) {
        const Result<Step> step = take_what_is_there(stream.fd(), parser);
        if (!step)
            co_return Error(step.error());
        if (*step == Step::Done)
            co_return std::optional<ProxyHeader>(parser.header());
        if (*step == Step::Ended && parser.begun())
            co_return Error::disconnected("lost connection within the PROXY header");
        if (*step == Step::Ended)
            co_return std::optional<ProxyHeader>();
        CO_CHECK(co_await stream.wait_readable(deadline));
    }
}

} // namespace posthouse::net
