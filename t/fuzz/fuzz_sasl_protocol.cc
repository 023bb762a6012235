// What an authentication service says: a handshake, then replies. Bounded, and nothing of it can become a second line of
// a log, a header or an SMTP reply. What clients say is one line for the service, whatever it is.
#include "lib/base/ascii.h"
#include "lib/sasl/auth_protocol.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace posthouse;
using namespace posthouse::sasl;

namespace {

void require(bool condition)
{
    if (!condition)
        std::abort();
}

void check_reply(const AuthReply& reply)
{
    require(is_base64(reply.challenge));
    if (reply.kind != AuthReply::Kind::Accepted)
        return;
    require(!reply.user.empty() && reply.user.size() <= 1024);
    require(std::none_of(reply.user.begin(), reply.user.end(), ascii::is_control));
}

void check_request(std::string_view text)
{
    AuthRequest request;
    request.mechanism = "PLAIN";
    request.service = text;
    if (is_base64(text))
        request.initial.emplace(text);
    const Secret line = auth_line(1, request);
    require(line.reveal().find('\n') == line.reveal().size() - 1);
    require(line.reveal().find('\0') == std::string_view::npos);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    std::string_view text(reinterpret_cast<const char*>(data), size);
    check_request(text);
    Handshake handshake;
    bool greeted = false;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (!greeted) {
            const auto done = handshake.line(line);
            if (!done)
                return 0;
            greeted = *done;
            require(handshake.mechanisms.size() <= Handshake::most_mechanisms);
            for (const Mechanism& mechanism : handshake.mechanisms)
                require(is_mechanism_name(mechanism.name));
            continue;
        }
        const auto reply = parse_reply(line);
        if (!reply)
            return 0;
        if (*reply)
            check_reply(**reply);
    }
    return 0;
}
