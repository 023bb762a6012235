// All records of a text table: see text_records.h.
#include "lib/table/text_records.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"

namespace posthouse::table {

namespace {

constexpr std::string_view texthash = "texthash:";
constexpr std::string_view inline_type = "inline:";
constexpr std::string_view proxy = "proxy:";

std::string_view without_proxy(std::string_view type_and_name)
{
    type_and_name = ascii::trim(type_and_name);
    return type_and_name.starts_with(proxy) ? type_and_name.substr(proxy.size()) : type_and_name;
}

Result<TextRecords> read_texthash(const std::string& path, const Context& context)
{
    TextRecords found;
    std::string content;
    auto file = TableFile::read(path, context.file_limit, content);
    if (!file)
        return std::move(file.error());
    for (const LogicalLine& line : logical_lines(content)) {
        auto record = parse_record(line.text);
        if (!record) {
            log::warning(path, ", line ", line.line, ": ", record.error().text(), " -- ignoring this line");
            continue;
        }
        record->line = line.line;
        found.records.push_back(std::move(*record));
    }
    found.file = std::move(*file);
    return found;
}

Result<TextRecords> read_inline(std::string_view name, std::string_view argument)
{
    argument = ascii::trim(argument);
    if (argument.size() < 2 || argument.front() != '{' || argument.back() != '}')
        return Error(ErrorKind::Config, cat("bad syntax: \"", name, "\"; need { around the text"));
    TextRecords found;
    for (const std::string_view item : split_outside_braces(strip_braces(argument), ", \t\r\n")) {
        auto record = parse_assignment(strip_braces(item));
        if (!record)
            return std::move(record.error()).within(name);
        record->value = std::string(strip_braces(record->value));
        found.records.push_back(std::move(*record));
    }
    return found;
}

} // namespace

bool has_text_records(std::string_view type_and_name)
{
    const std::string_view name = without_proxy(type_and_name);
    return name.starts_with(texthash) || name.starts_with(inline_type);
}

Result<TextRecords> read_text_records(std::string_view type_and_name, const Context& context)
{
    const std::string_view name = without_proxy(type_and_name);
    if (name.starts_with(texthash))
        return read_texthash(std::string(ascii::trim(name.substr(texthash.size()))), context);
    return read_inline(name, name.substr(inline_type.size()));
}

} // namespace posthouse::table
