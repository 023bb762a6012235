// Envelope addresses: what is taken is written in a form that means the same.
#include "lib/mail/address.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace posthouse::mail;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (bool strict : {false, true}) {
        const auto path = parse_path(text, PathOptions(strict));
        if (!path)
            continue;
        const auto again = parse_address(path->address.to_text());
        if (!again || !(*again == path->address))
            abort();
        (void)split_extension(path->address.local, "+-");
    }
    return 0;
}
