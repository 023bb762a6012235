// The sendmail command line, each argument ended by a zero byte: no crash, and what is enqueued has no
// recipient that was not among the arguments.
#include "tools/sendmail_options.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

using namespace posthouse;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    std::vector<std::string> arguments;
    size_t total = 0;
    for (size_t at = 0; at < size; ++at) {
        if (data[at] == 0 || arguments.empty())
            arguments.emplace_back();
        if (data[at] != 0)
            arguments.back().push_back(static_cast<char>(data[at]));
    }
    for (const std::string& argument : arguments)
        total += argument.size();
    const auto options = tools::parse_sendmail_options(arguments);
    if (!options)
        return 0;
    size_t named = 0;
    for (const std::string& recipient : options->recipients)
        named += recipient.size();
    if (named > total)
        std::abort();
    return 0;
}
