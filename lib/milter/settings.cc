// The parameters of milters, see settings.h.
#include "lib/milter/settings.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/config/value.h"

#include <algorithm>
#include <iterator>
#include <optional>

namespace posthouse::milter {

namespace {

struct ActionName {
    std::string_view name;
    DefaultAction action;
};
constexpr ActionName action_names[] = {
    {"accept", DefaultAction::Accept},         {"reject", DefaultAction::Reject},
    {"tempfail", DefaultAction::TempFail},     {"quarantine", DefaultAction::Quarantine},
    {"shutdown", DefaultAction::Shutdown},
};

struct MacroParameter {
    Stage stage;
    const char* parameter;
};
constexpr MacroParameter macro_parameters[] = {
    {Stage::Connect, "milter_connect_macros"},
    {Stage::Helo, "milter_helo_macros"},
    {Stage::Mail, "milter_mail_macros"},
    {Stage::Rcpt, "milter_rcpt_macros"},
    {Stage::Data, "milter_data_macros"},
    {Stage::EndOfHeader, "milter_end_of_header_macros"},
    {Stage::EndOfMessage, "milter_end_of_data_macros"},
    {Stage::Unknown, "milter_unknown_command_macros"},
};

Result<DefaultAction> parse_action(std::string_view text)
{
    for (const ActionName& row : action_names)
        if (row.name == text)
            return row.action;
    return Error(ErrorKind::Config, cat("\"", text, "\" is no default action of a milter; expected accept, reject, tempfail, "
                                                    "quarantine or shutdown"));
}

// "name = value", perhaps in braces.
std::optional<std::pair<std::string_view, std::string_view>> assignment(std::string_view text)
{
    text = ascii::trim(text);
    if (text.starts_with('{') && text.ends_with('}'))
        text = ascii::trim(text.substr(1, text.size() - 2));
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0)
        return std::nullopt;
    return std::pair(ascii::trim(text.substr(0, equals)), ascii::trim(text.substr(equals + 1)));
}

Result<void> set(FilterSettings& filter, std::string_view name, std::string_view value)
{
    Duration* const time = name == "connect_timeout"   ? &filter.connect_timeout
                           : name == "command_timeout" ? &filter.command_timeout
                           : name == "content_timeout" ? &filter.content_timeout
                                                       : nullptr;
    if (time) {
        const auto parsed = config::parse_time(value);
        if (!parsed || *parsed <= Duration())
            return Error(ErrorKind::Config, cat(name, ": \"", value, "\" is no time"));
        *time = *parsed;
        return {};
    }
    if (name == "default_action") {
        const auto action = parse_action(value);
        if (!action)
            return action.error();
        filter.default_action = *action;
        return {};
    }
    if (name != "protocol")
        return Error(ErrorKind::Config, cat("unknown setting \"", name, '"'));
    const auto number = ascii::parse_unsigned(value);
    if (!number || *number < oldest_version || *number > newest_version)
        return Error(ErrorKind::Config, cat("\"", value, "\" is no protocol version"));
    filter.protocol = static_cast<uint32_t>(*number);
    return {};
}

// A blank may stand on both sides of the = of a setting: commas alone part them.
Result<FilterSettings> parse_braced(std::string_view inside, FilterSettings filter)
{
    inside = ascii::trim(inside);
    const size_t end = std::min(inside.find_first_of(", \t\r\n"), inside.size());
    auto address = net::ServiceAddress::parse(inside.substr(0, end));
    if (!address)
        return std::move(address.error());
    filter.address = std::move(*address);
    for (const std::string_view part : ascii::split(inside.substr(end), ",")) {
        if (ascii::trim(part).empty())
            continue;
        const auto setting = assignment(part);
        if (!setting)
            return Error(ErrorKind::Config, cat("\"", ascii::trim(part), "\": expected name = value"));
        RETURN_IF_ERROR(set(filter, setting->first, setting->second));
    }
    return filter;
}

} // namespace

std::string_view bare_name(std::string_view macro)
{
    return macro.size() > 2 && macro.front() == '{' && macro.back() == '}' ? macro.substr(1, macro.size() - 2) : macro;
}

Result<Settings> Settings::from_config(const config::Config& config)
{
    Settings settings;
    settings.defaults.connect_timeout = config.duration("milter_connect_timeout");
    settings.defaults.command_timeout = config.duration("milter_command_timeout");
    settings.defaults.content_timeout = config.duration("milter_content_timeout");
    settings.defaults.protocol = static_cast<uint32_t>(config.number("milter_protocol"));
    const auto action = parse_action(config.text("milter_default_action"));
    if (!action)
        return Error(action.error()).within("milter_default_action");
    settings.defaults.default_action = *action;
    for (const MacroParameter& row : macro_parameters)
        for (const std::string_view name : ascii::split(config.text(row.parameter), " \t\r\n,"))
            settings.macros[static_cast<size_t>(row.stage)].emplace_back(name);
    for (const std::string& item : config.list("milter_macro_defaults")) {
        const auto pair = assignment(item);
        if (!pair)
            return Error(ErrorKind::Config, cat("milter_macro_defaults: \"", item, "\": expected name=value"));
        settings.macro_defaults.emplace_back(bare_name(pair->first), pair->second);
    }
    settings.daemon_name = config.text("milter_macro_daemon_name");
    settings.version = config.text("milter_macro_v");
    settings.header_limit = static_cast<size_t>(config.number("milter_header_limit"));
    settings.body_limit = static_cast<uint64_t>(config.number("message_size_limit"));
    return settings;
}

Result<FilterList> Settings::parse_list(const std::vector<std::string>& items) const
{
    FilterList list;
    for (const std::string& item : items) {
        const bool braced = item.starts_with('{') && item.ends_with('}');
        const std::string_view inside = braced ? std::string_view(item).substr(1, item.size() - 2) : std::string_view(item);
        auto filter = parse_braced(inside, defaults);
        if (!filter)
            return std::move(filter.error()).within(item);
        list.push_back(std::move(*filter));
    }
    return list;
}

} // namespace posthouse::milter
