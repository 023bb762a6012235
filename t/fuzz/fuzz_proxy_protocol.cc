// A PROXY header: whatever the pieces in which it arrives, the same is made of it, no byte behind it is taken, and what is
// kept is bounded.
#include "lib/net/proxy_protocol.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace posthouse;
using namespace posthouse::net;

namespace {

void require(bool condition)
{
    if (!condition)
        std::abort();
}

struct Seen {
    bool error = false;
    bool done = false;
    size_t taken = 0;
    ProxyHeader header;
};

Seen take_in_pieces(std::string_view text, size_t piece)
{
    Seen seen;
    ProxyHeaderParser parser;
    while (!parser.done() && seen.taken < text.size()) {
        const std::string_view next = text.substr(seen.taken, piece);
        const auto count = parser.take(next);
        if (!count) {
            seen.error = true;
            return seen;
        }
        require(*count <= next.size());
        require(parser.done() || *count == next.size());
        seen.taken += *count;
    }
    seen.done = parser.done();
    if (seen.done)
        seen.header = parser.header();
    require(seen.taken <= ProxyHeaderParser::longest_v2);
    return seen;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const Seen whole = take_in_pieces(text, SIZE_MAX);
    for (const size_t piece : {size_t(1), size_t(7)}) {
        const Seen again = take_in_pieces(text, piece);
        require(again.error == whole.error && again.done == whole.done);
        if (!whole.done)
            continue;
        require(again.taken == whole.taken && again.header.own_connection == whole.header.own_connection);
        require(again.header.source == whole.header.source && again.header.destination == whole.header.destination);
    }
    if (whole.done && !whole.header.own_connection)
        require(!whole.header.source.is_unix() && !whole.header.destination.is_unix());
    return 0;
}
