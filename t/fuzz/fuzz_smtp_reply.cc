// A host's replies: bounded, and never more than one reply when written again.
#include "lib/smtp/reply.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace posthouse::smtp;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    std::string_view text(reinterpret_cast<const char*>(data), size);
    ReplyParser parser;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        const auto last = parser.line(text.substr(0, end));
        if (!last)
            return 0;
        const Reply& reply = parser.reply();
        if (reply.code < 200 || reply.code > 599 || reply.text.size() > ReplyLimits().text)
            abort();
        const std::string wire = reply.to_wire();
        for (size_t i = 0; i < wire.size(); ++i)
            if ((wire[i] == '\n' && wire[i - 1] != '\r') || (wire[i] == '\r' && wire[i + 1] != '\n'))
                abort();
        if (*last)
            parser = ReplyParser();
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return 0;
}
