// Content for a host without 8BITMIME, in pieces whose size the first byte chooses: the result must not depend
// on the cuts, a second conversion must find nothing more to do, and no line that was made may be long.
#include "t/support/seven_bit.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

using posthouse::test::converted;

namespace {

// As content is stored: CRLF and nothing else ends a line.
std::string normalized(const uint8_t* data, size_t size)
{
    std::string content;
    for (size_t i = 0; i < size; ++i) {
        if (data[i] == '\n')
            content.append("\r\n");
        else if (data[i] != '\r')
            content.push_back(static_cast<char>(data[i]));
    }
    return content;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    if (size == 0)
        return 0;
    const std::string content = normalized(data + 1, size - 1);
    const std::string whole = converted(content, content.size() + 1);
    if (whole != converted(content, size_t(1) + data[0]))
        abort();
    if (whole != converted(whole, whole.size() + 1))
        abort();
    return 0;
}
