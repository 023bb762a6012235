// What a policy server says: an action of one line or an error, found only when the reply is whole. What clients say is one
// line for the server, whatever it is.
#include "lib/base/ascii.h"
#include "smtpd/policy_protocol.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace posthouse;
using namespace posthouse::smtpd;

namespace {

void require(bool condition)
{
    if (!condition)
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    PolicyRequest request;
    request.add("sender", text);
    const std::string asked = std::move(request).finish();
    require(std::count(asked.begin(), asked.end(), '\n') == 3 && asked.ends_with("\n\n"));
    const std::string encoded = xtext(text);
    require(std::all_of(encoded.begin(), encoded.end(), [](char c) { return c > ' ' && c < 127; }));

    const auto whole = parse_policy_reply(text);
    if (!whole || !*whole)
        return 0;
    require(std::none_of((*whole)->begin(), (*whole)->end(), ascii::is_control));
    // With one byte less it is not there yet, and no error.
    const auto part = parse_policy_reply(text.substr(0, size - 1));
    require(part && !*part);
    return 0;
}
