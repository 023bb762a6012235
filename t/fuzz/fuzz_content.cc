// The MIME structure of a stranger's body, and the actions that a table gives: however the body is cut, the same fields
// and lines are found, in order and nothing lost; an action is understood or refused.
#include "lib/queue/content_action.h"
#include "t/support/mime_items.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace posthouse;

namespace {

// What is found, for a message whose Content-Type is the first line of the input.
test::MimeItems found(std::string_view type, std::string_view body, const mail::MimeLimits& limits, size_t piece)
{
    mail::MimeTracker tracker(limits);
    tracker.note_field("Content-Type", type);
    return test::mime_items(tracker, body, piece);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    for (const bool for_header : {false, true})
        if (const auto action = queue::ContentAction::parse(bytes, for_header); action && action->text.size() > size)
            std::abort();

    const size_t line_end = std::min(bytes.find('\n'), size);
    const std::string_view type = bytes.substr(0, line_end);
    const std::string_view body = bytes.substr(std::min(line_end + 1, size));
    mail::MimeLimits limits;
    limits.nesting = 4;
    limits.boundary = 8;
    limits.header_field = 60;
    limits.line = 20;
    for (const uint64_t checked : {0, 100}) {
        limits.checked_body = checked;
        const auto whole = found(type, body, limits, std::string::npos);
        if (whole.passed() != body)
            std::abort();
        for (const size_t piece : {1, 7})
            if (found(type, body, limits, piece).text() != whole.text())
                std::abort();
    }
    return 0;
}
