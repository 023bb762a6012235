// aliases(5) text: an alias file line, and a value as the table gives it.
#include "lib/table/aliases.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace posthouse::table;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const LogicalLine& line : logical_lines(text)) {
        const auto record = parse_alias_line(line.text);
        if (!record)
            continue;
        const auto targets = parse_alias_value(record->value);
        if (!targets) // what postalias takes, local understands
            abort();
        for (const AliasTarget& target : *targets)
            if (target.text.empty() || target.text.find('\n') != std::string::npos)
                abort();
    }
    (void)parse_alias_value(text, 100);
    return 0;
}
