// Which function opens which type of table: see table.h.
#include "lib/table/table.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/table/combined_tables.h"
#include "lib/table/lmdb_table.h"
#include "lib/table/pattern_tables.h"
#include "lib/table/simple_tables.h"
#include "lib/table/unix_table.h"

namespace posthouse::table {

namespace {

struct Type {
    std::string_view name;
    Opened (*open)(std::string name, std::string_view argument, const Context& context);
};

constexpr Type types[] = {
    {"btree", open_lmdb},       // Berkeley DB's names are kept for the sake of old configurations
    {"cidr", open_cidr},
    {"environ", open_environ},
    {"fail", open_fail},
    {"hash", open_lmdb},
    {"inline", open_inline},
    {"lmdb", open_lmdb},
    {"pcre", open_pcre},
    {"pipemap", open_pipemap},
    {"randmap", open_randmap},
    {"regexp", open_regexp},
    {"static", open_static},
    {"texthash", open_texthash},
    {"unionmap", open_unionmap},
    {"unix", open_unix},
};

Opened open_type(std::string name, const Context& context)
{
    const size_t colon = name.find(':');
    const std::string type = name.substr(0, colon);
    for (const Type& known : types)
        if (known.name == type) {
            const std::string argument = name.substr(colon + 1);
            return known.open(std::move(name), argument, context);
        }
    return Error(ErrorKind::Config, cat("unsupported table type: ", type));
}

} // namespace

Opened open(std::string_view type_and_name, const Context& context)
{
    constexpr std::string_view proxy = "proxy:"; // where Postfix goes through a server of its own
    type_and_name = ascii::trim(type_and_name);
    if (type_and_name.starts_with(proxy))
        type_and_name.remove_prefix(proxy.size());
    std::string name(type_and_name);
    if (name.find(':') == std::string::npos)
        name = cat(context.default_type, ':', name);
    auto table = open_type(name, context);
    if (table || !context.warn_missing)
        return table;
    log::warning(name, " is unavailable. ", table.error().full_text());
    return failing_table(std::move(name), table.error().full_text());
}

std::string known_types()
{
    std::string names;
    for (const Type& type : types)
        append_to(names, names.empty() ? "" : " ", type.name);
    return names;
}

} // namespace posthouse::table
