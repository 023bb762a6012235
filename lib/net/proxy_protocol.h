// The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): a header before everything else in a connection, by
// which a proxy in front says who its client is. Whether the other side may say so is for the caller to know: a header is
// a claim that anyone can write.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/event/byte_stream.h"
#include "lib/event/task.h"
#include "lib/net/address.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse::net {

class ProxyHeader {
public:
    ProxyHeader() = default;
    // The proxy speaks for itself, as for a health check (LOCAL), or does not know its client (UNKNOWN, UNSPEC): the
    // addresses are those of the connection.
    bool own_connection = false;
    SocketAddress source;
    SocketAddress destination;
};

// Takes the header in pieces, whatever their size, and never more than the header. What is kept of it is bounded.
class ProxyHeaderParser {
public:
    static constexpr size_t longest_v1 = 107;   // with CR LF
    static constexpr size_t longest_v2 = 16384; // with its TLVs, which are skipped
    static constexpr size_t fixed_size = 16;    // of version 2: signature, version and command, family, length

    // How many of `bytes`, which follow those that were taken before, belong to the header. Ask done() afterwards. An
    // Error: this is no header, or one that breaks its format.
    Result<size_t> take(std::string_view bytes);
    bool done() const { return header_.has_value(); }
    bool begun() const { return seen_ > 0; }
    // Once done.
    const ProxyHeader& header() const { return *header_; }

private:
    enum class Version : unsigned char { NotKnown, One, Two };
    Result<size_t> take_some(std::string_view bytes);
    Result<size_t> take_line(std::string_view bytes);
    Result<size_t> take_binary(std::string_view bytes);
    Result<void> begin_binary();

    Version version_ = Version::NotKnown;
    std::string kept_; // the line of version 1; of version 2 what is before the TLVs
    size_t seen_ = 0;
    // Of version 2: how much of the header to keep, and how long it is; 0: not known yet.
    size_t to_keep_ = fixed_size;
    size_t length_ = 0;
    std::optional<ProxyHeader> header_;
};

// Reads the header from a stream with a socket, and leaves there what follows it. TimedOut; Disconnected; Permanent for
// what is no header. nullopt: the other side has ended before its first byte, as health checks do.
Task<Result<std::optional<ProxyHeader>>> read_proxy_header(ByteStream& stream, Deadline deadline);

} // namespace posthouse::net
