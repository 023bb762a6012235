// Config: see config.h.
#include "lib/config/config.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/config/lines.h"
#include "lib/config/settings.h"
#include "lib/config/value.h"
#include "lib/log/log.h"

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <set>

namespace posthouse::config {

namespace {

// The row that says how to read `name`: its own, or that of all transports.
const Parameter& row_of(std::string_view name)
{
    if (const Parameter* parameter = find_parameter(name))
        return *parameter;
    if (const TransportSuffix* suffix = transport_suffix_of(name))
        return *find_parameter(suffix->default_name);
    log::panic(cat("parameter ", name, " is not in the table"));
}

void want_kind(const Parameter& parameter, std::initializer_list<Kind> kinds, const char* what)
{
    if (std::find(kinds.begin(), kinds.end(), parameter.kind) == kinds.end())
        log::panic(cat("parameter ", parameter.name, " is asked for as ", what));
}

int64_t as_number(const Parameter& parameter, std::string_view value)
{
    want_kind(parameter, {Kind::Number, Kind::Size}, "a number");
    return parameter.kind == Kind::Size ? *parse_size(value) : *parse_number(value);
}

Duration as_duration(const Parameter& parameter, std::string_view value)
{
    want_kind(parameter, {Kind::Time}, "a time");
    return time_value(parameter, value);
}

std::string main_cf_of(const std::string& directory) { return directory + "/main.cf"; }

// All that is given, not yet evaluated.
std::unique_ptr<Settings> read_settings(const std::string& directory, std::string_view main_cf, const Overrides& overrides,
                                        std::vector<Fault>& faults)
{
    auto settings = std::make_unique<Settings>(directory, Host::of_this_machine());
    settings->add_main_cf(main_cf, main_cf_of(directory), faults);
    settings->add_overrides(overrides, faults);
    settings->read_named_files(faults);
    // What master.cf refers to is in use. That it is missing or faulty is for its own reader to say.
    if (auto services = read_file(directory + "/master.cf", file_size_limit))
        settings->note_references(*services);
    return settings;
}

} // namespace

std::string Fault::to_text() const
{
    std::string out = file;
    if (line > 0)
        append_to(out, out.empty() ? "" : ", ", "line ", line);
    if (!parameter.empty())
        append_to(out, out.empty() ? "" : ": ", parameter);
    append_to(out, out.empty() ? "" : ": ", text);
    return out;
}

bool usable(const std::vector<Fault>& faults)
{
    return std::all_of(faults.begin(), faults.end(), [](const Fault& fault) { return fault.warning; });
}

Result<void> Overrides::add_option(std::string_view option)
{
    option = ascii::trim(option);
    if (!option.empty() && option.front() == '{') {
        Braced braced = find_braced(option, 0);
        if (braced.close != option.size() - 1)
            return Error(ErrorKind::Config, cat("expected \"{ name = value }\", not \"", option, "\""));
        option = ascii::trim(braced.inside);
    }
    size_t equals = option.find('=');
    std::string_view name = ascii::trim(option.substr(0, equals));
    if (equals == std::string_view::npos || name.empty())
        return Error(ErrorKind::Config, cat("expected name=value, not \"", option, "\""));
    add(std::string(name), std::string(ascii::trim(option.substr(equals + 1))));
    return {};
}

Config::Config(std::unique_ptr<Settings> settings) : settings_(std::move(settings)) {}
Config::~Config() = default;

std::string Config::directory_from(std::string_view c_option)
{
    const char* variable = std::getenv("MAIL_CONFIG");
    std::string directory = POSTHOUSE_CONFIG_DIR;
    if (!c_option.empty())
        directory = c_option;
    else if (variable != nullptr && *variable != '\0')
        directory = variable;
    // Master passes it on to programs that run in another directory.
    char absolute[PATH_MAX];
    return ::realpath(directory.c_str(), absolute) != nullptr ? std::string(absolute) : directory;
}

Result<std::unique_ptr<Config>> Config::load(const std::string& directory, const Overrides& overrides,
                                             std::vector<Fault>& faults)
{
    std::vector<Fault> found;
    auto config = load_with_faults(directory, overrides, found);
    const bool good = usable(found);
    faults.insert(faults.end(), found.begin(), found.end());
    if (config && !good)
        return Error(ErrorKind::Config, cat(directory, "/main.cf: not usable"));
    return config;
}

Result<std::unique_ptr<Config>> Config::load_with_faults(const std::string& directory, const Overrides& overrides,
                                                         std::vector<Fault>& faults)
{
    auto text = read_file(main_cf_of(directory), file_size_limit);
    if (!text) {
        faults.push_back({"", 0, "", cat(text.error().full_text(), "; name its directory with -c or MAIL_CONFIG")});
        return std::move(text.error());
    }
    std::vector<Fault> found;
    auto settings = read_settings(directory, *text, overrides, found);
    settings->evaluate(found);
    faults.insert(faults.end(), found.begin(), found.end());
    return std::unique_ptr<Config>(new Config(std::move(settings)));
}

Result<std::unique_ptr<Config>> Config::load_what_is_sound(const std::string& directory, const Overrides& overrides,
                                                           std::vector<Fault>& faults)
{
    std::vector<Fault> found;
    auto config = load_with_faults(directory, overrides, found);
    faults.insert(faults.end(), found.begin(), found.end());
    if (!config || usable(found))
        return config;
    const std::string file = main_cf_of(directory);
    auto text = read_file(file, file_size_limit);
    if (!text)
        return std::move(text.error());
    std::set<std::string> dropped;
    for (bool more = true; more;) {
        more = false;
        for (const Fault& fault : found)
            more = (!fault.warning && dropped.insert(fault.parameter).second) || more;
        std::vector<Fault> syntax;
        auto settings = read_settings(directory, *text, overrides, syntax);
        for (const std::string& name : dropped)
            (void)settings->drop(name); // or it was none
        found.clear();
        settings->evaluate(found);
        if (usable(found))
            return std::unique_ptr<Config>(new Config(std::move(settings)));
    }
    return Error(ErrorKind::Config, cat(file, ": not usable"));
}

Result<std::unique_ptr<Config>> Config::parse(std::string_view main_cf, const Overrides& overrides,
                                              std::vector<Fault>& faults)
{
    std::vector<Fault> found;
    auto settings = std::make_unique<Settings>(POSTHOUSE_CONFIG_DIR, Host::made_up());
    if (main_cf.size() > file_size_limit)
        found.push_back({"main.cf", 0, "", "too long"});
    else
        settings->add_main_cf(main_cf, "main.cf", found);
    settings->add_overrides(overrides, found);
    settings->evaluate(found);
    bool good = usable(found);
    faults.insert(faults.end(), found.begin(), found.end());
    if (!good)
        return Error(ErrorKind::Config, "main.cf: not usable");
    return std::unique_ptr<Config>(new Config(std::move(settings)));
}

Fault Config::fault_of(std::string_view name, std::string text, bool warning) const
{
    const Setting* setting = settings_->find(name);
    return {setting ? setting->file : directory() + "/main.cf", setting ? setting->line : 0, std::string(name),
            std::move(text), warning};
}

const std::string& Config::text(std::string_view name) const
{
    const std::string* value = settings_->value_of(name);
    if (value == nullptr)
        log::panic(cat("parameter ", name, " is not in the table"));
    return *value;
}

bool Config::boolean(std::string_view name) const
{
    want_kind(row_of(name), {Kind::Boolean}, "yes or no");
    return *parse_boolean(text(name));
}

int64_t Config::number(std::string_view name) const
{
    return as_number(row_of(name), text(name));
}

Duration Config::duration(std::string_view name) const
{
    return as_duration(row_of(name), text(name));
}

std::vector<std::string> Config::list(std::string_view name) const
{
    return split_list(text(name));
}

std::string Config::transport_text(std::string_view transport, std::string_view suffix) const
{
    std::string name = cat(transport, suffix);
    if (const std::string* value = settings_->value_of(name))
        return *value;
    row_of(name); // a suffix that nobody knows is a bug
    Expander expander(*settings_);
    return std::string(ascii::trim(*expander.value(name)));
}

int64_t Config::transport_number(std::string_view transport, std::string_view suffix) const
{
    return as_number(row_of(cat(transport, suffix)), transport_text(transport, suffix));
}

Duration Config::transport_duration(std::string_view transport, std::string_view suffix) const
{
    return as_duration(row_of(cat(transport, suffix)), transport_text(transport, suffix));
}

bool Config::is_set(std::string_view name) const
{
    return settings_->find(name) != nullptr;
}

std::optional<std::string> Config::any(std::string_view name) const
{
    if (const std::string* value = settings_->value_of(name))
        return *value;
    Expander expander(*settings_);
    auto value = expander.value(name);
    if (!value)
        return std::nullopt;
    return std::string(ascii::trim(*value));
}

std::string Config::expand(std::string_view text) const
{
    Expander expander(*settings_);
    auto value = expander.expand(text);
    return value ? std::move(*value) : std::string(text);
}

const std::string& Config::directory() const
{
    return settings_->directory();
}

std::vector<std::string> split_list(std::string_view value)
{
    std::vector<std::string> items;
    size_t depth = 0;
    std::string item;
    for (char c : value) {
        depth += c == '{' ? 1 : 0;
        if (depth == 0 && (c == ',' || ascii::is_space(c))) {
            if (!item.empty())
                items.push_back(std::move(item));
            item.clear();
            continue;
        }
        depth -= c == '}' && depth > 0 ? 1 : 0;
        item.push_back(c);
    }
    if (!item.empty())
        items.push_back(std::move(item));
    return items;
}

std::vector<Notice> later_features_set(const Config& config)
{
    std::vector<Notice> notices;
    for (const auto& [name, setting] : config.settings().given()) {
        const Parameter* parameter = find_parameter(name);
        if (const TransportSuffix* suffix = transport_suffix_of(name); parameter == nullptr && suffix != nullptr)
            parameter = find_parameter(suffix->default_name);
        if (parameter == nullptr || (!parameter->later() && !parameter->unused()))
            continue;
        // The default, written down: nothing is missing then.
        if (parameter->later() && ascii::trim(setting.value) == config.settings().default_of(*parameter))
            continue;
        notices.push_back({setting.file, setting.line, name,
                           parameter->later() ? "this feature is not there yet; the setting has no effect"
                                              : "not needed here; the setting has no effect"});
    }
    return notices;
}

} // namespace posthouse::config
