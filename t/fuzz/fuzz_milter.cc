// What a mail filter sends: packets in pieces, a negotiation, replies, and header fields out of them. Bounded, and nothing
// of it can become a second header field or a second line of a reply.
#include "lib/milter/headers.h"
#include "lib/milter/protocol.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace posthouse;
using namespace posthouse::milter;

namespace {

void require(bool condition)
{
    if (!condition)
        std::abort();
}

// One field: each of its lines but the first begins with a blank, and none is empty.
void check_field(const HeaderField& field)
{
    require(field.text.ends_with("\r\n"));
    require(field.text.find('\0') == std::string::npos);
    for (size_t end = field.text.find('\n'); end + 1 < field.text.size(); end = field.text.find('\n', end + 1)) {
        require(end > 0 && field.text[end - 1] == '\r');
        require(field.text[end + 1] == ' ' || field.text[end + 1] == '\t');
    }
}

void check_reply(const Reply& reply)
{
    if (reply.kind == Reply::Kind::Custom) {
        require(reply.smtp.code >= 400 && reply.smtp.code <= 599);
        const std::string wire = reply.smtp.to_wire();
        require(std::count(wire.begin(), wire.end(), '\n') == 1 + std::count(reply.smtp.text.begin(), reply.smtp.text.end(), '\n'));
    }
    require(reply.is_change() == (reply.needed_action != 0));
    if (!is_field_name(reply.name))
        return;
    HeaderFields fields;
    fields.append(HeaderField("Received: x\r\n", 8, true));
    fields.append(HeaderField("Subject: y\r\n", 7));
    for (const bool leading_space : {false, true}) {
        const HeaderField field = HeaderField::make(reply.name, reply.value, leading_space);
        check_field(field);
        (void)field.value(leading_space); // must only be safe
        fields.insert(reply.index, field);
        fields.change(reply.index, field);
    }
    fields.remove(reply.index, reply.name);
    require(fields.size() == fields.text().size());
    require(std::count_if(fields.all().begin(), fields.all().end(), [](const HeaderField& f) { return f.hidden; }) == 1);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    if (size == 0)
        return 0;
    const size_t piece = 1 + data[0] % 7u;
    std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    PacketReader reader;
    const Terms offer = offer_for(newest_version);
    bool negotiated = false;
    while (!bytes.empty()) {
        reader.feed(bytes.substr(0, piece));
        bytes.remove_prefix(std::min(piece, bytes.size()));
        while (true) {
            const auto packet = reader.next();
            if (!packet)
                return 0;
            if (!*packet)
                break;
            require(!(*packet)->empty() && (*packet)->size() <= largest_received);
            if (!negotiated) {
                const auto answer = parse_negotiation(**packet, offer);
                negotiated = static_cast<bool>(answer);
                if (answer)
                    require((answer->terms.actions & ~offer.actions) == 0 && (answer->terms.steps & ~offer.steps) == 0);
            }
            if (const auto reply = parse_reply(**packet))
                check_reply(*reply);
        }
    }
    return 0;
}
