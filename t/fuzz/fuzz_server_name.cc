// The server name in the first message of a TLS client. A name that is taken is in lower case and means nothing but a name
// to whatever table it is looked up in.
#include "lib/base/ascii.h"
#include "lib/tls/server_name.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

using namespace posthouse;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const auto name = tls::parse_server_name(std::string_view(reinterpret_cast<const char*>(data), size));
    if (!name)
        return 0;
    if (name->empty() || name->size() > 253 || name->front() == '.' || name->back() == '.'
        || name->find("..") != std::string::npos)
        std::abort();
    for (const char c : *name)
        if (ascii::is_upper(c) || !(ascii::is_alnum(c) || c == '-' || c == '_' || c == '.'))
            std::abort();
    return 0;
}
