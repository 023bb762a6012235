// The stored form of an envelope: what is taken is stored in the same bytes again.
#include "lib/mail/envelope.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace posthouse::mail;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    const auto envelope = decode_envelope(bytes);
    if (!envelope)
        return 0;
    std::string again;
    encode(*envelope, again);
    if (again != bytes)
        abort();
    return 0;
}
