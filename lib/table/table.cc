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

#include <cerrno>

namespace posthouse::table {

namespace {

struct Type {
    std::string_view name;
    Opened (*open)(std::string name, std::string_view argument, const Context& context);
    const char* suffix = nullptr; // what the file's name has behind the table's; null: no file
};

constexpr Type types[] = {
    {"btree", open_lmdb, ".lmdb"},       // Berkeley DB's names are kept for the sake of old configurations
    {"cidr", open_cidr, ""},
    {"environ", open_environ},
    {"fail", open_fail},
    {"hash", open_lmdb, ".lmdb"},
    {"inline", open_inline},
    {"lmdb", open_lmdb, ".lmdb"},
    {"pcre", open_pcre, ""},
    {"pipemap", open_pipemap},
    {"randmap", open_randmap},
    {"regexp", open_regexp, ""},
    {"static", open_static},
    {"texthash", open_texthash, ""},
    {"unionmap", open_unionmap},
    {"unix", open_unix},
};

const Type* find_type(std::string_view name)
{
    for (const Type& known : types)
        if (known.name == name)
            return &known;
    return nullptr;
}

Opened open_type(const std::string& name, const Context& context)
{
    const size_t colon = name.find(':');
    const Type* type = find_type(std::string_view(name).substr(0, colon));
    if (!type)
        return Error(ErrorKind::Config, cat("unsupported table type: ", name.substr(0, colon)));
    return type->open(name, std::string_view(name).substr(colon + 1), context);
}

std::string full_name(std::string_view type_and_name, const Context& context)
{
    constexpr std::string_view proxy = "proxy:"; // where Postfix goes through a server of its own
    type_and_name = ascii::trim(type_and_name);
    if (type_and_name.starts_with(proxy))
        type_and_name.remove_prefix(proxy.size());
    if (type_and_name.find(':') == std::string_view::npos)
        return cat(context.default_type, ':', type_and_name);
    return std::string(type_and_name);
}

} // namespace

std::string file_of(std::string_view type_and_name, const Context& context)
{
    const std::string name = full_name(type_and_name, context);
    const size_t colon = name.find(':');
    const Type* type = find_type(std::string_view(name).substr(0, colon));
    const std::string_view argument = ascii::trim(std::string_view(name).substr(colon + 1));
    if (!type || !type->suffix || argument.empty() || argument.front() == '{') // { rules } instead of a file
        return std::string();
    return cat(argument, type->suffix);
}

Opened open(std::string_view type_and_name, const Context& context)
{
    std::string name = full_name(type_and_name, context);
    auto table = open_type(name, context);
    if (table || !context.warn_missing)
        return table;
    ArrivalWatch retry;
    if (const std::string file = file_of(name, context); !file.empty()) {
        retry = ArrivalWatch(file);
        if (table.error().errno_value() == ENOENT) { // it may have come before the watch
            table = open_type(name, context);
            if (table)
                return table;
        }
    }
    log::warning(name, " is unavailable. ", table.error().full_text());
    return failing_table(std::move(name), table.error().full_text(), std::move(retry));
}

std::string known_types()
{
    std::string names;
    for (const Type& type : types)
        append_to(names, names.empty() ? "" : " ", type.name);
    return names;
}

} // namespace posthouse::table
