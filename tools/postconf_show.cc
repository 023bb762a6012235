// postconf's listings: parameters, and the entries of master.cf, whole, by field or by option.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/config/lines.h"
#include "lib/config/settings.h"
#include "tools/postconf_options.h"

#include <algorithm>
#include <cstdio>
#include <memory>

namespace posthouse::postconf {

namespace {

using tools::MasterEntry;

std::string folded(const std::string& line)
{
    constexpr size_t width = 80;
    std::string out;
    size_t length = 0;
    for (std::string_view word : ascii::split(line, " \t")) {
        if (length > 0 && length + 1 + word.size() > width) {
            out += "\n    ";
            length = 4;
        } else if (length > 0) {
            out += ' ';
            ++length;
        }
        out += word;
        length += word.size();
    }
    return out;
}

void print(const Options& options, std::string_view name, const std::string& value)
{
    std::string line = !options.with_value  ? std::string(name)
                       : !options.with_name ? value
                                            : cat(name, " = ", value);
    printf("%s\n", options.fold && line.size() > 80 ? folded(line).c_str() : line.c_str());
}

// What to print for a name; nullopt when nothing knows it.
std::optional<std::string> value_to_show(const Options& options, const config::Settings& settings, std::string_view name)
{
    const config::Setting* setting = options.defaults ? nullptr : settings.find(name);
    const config::Parameter* parameter = config::find_parameter(name);
    std::string value;
    if (setting != nullptr)
        value = setting->written;
    else if (parameter != nullptr)
        value = settings.default_of(*parameter);
    else if (!config::transport_suffix_of(name))
        return std::nullopt;
    else
        value = *settings.unexpanded(name);
    if (!options.expand || (parameter != nullptr && parameter->kind == config::Kind::Raw))
        return value;
    config::Expander expander(settings);
    auto expanded = expander.expand(setting != nullptr ? setting->value : value);
    return expanded ? std::string(ascii::trim(*expanded)) : value;
}

Class class_of(std::string_view name)
{
    if (config::find_parameter(name) != nullptr)
        return Builtin;
    return config::transport_suffix_of(name) != nullptr ? OfService : User;
}

std::vector<std::string> names_to_show(const Options& options, const config::Settings& settings)
{
    std::vector<std::string> names;
    for (const auto& [name, setting] : settings.given())
        if (!options.defaults && (options.only_set || config::find_parameter(name) == nullptr) &&
            settings.has_a_use(name) && (class_of(name) & options.classes))
            names.push_back(name);
    if (!options.only_set && (options.classes & Builtin))
        for (const config::Parameter& parameter : config::parameters())
            names.emplace_back(parameter.name);
    std::sort(names.begin(), names.end());
    return names;
}

} // namespace

int show_parameters(const Options& options)
{
    config::Settings settings(options.directory, config::Host::of_this_machine());
    std::vector<config::Fault> faults;
    std::string path = options.directory + "/main.cf";
    auto text = read_file(path, config::file_size_limit);
    // Defaults are known without any file.
    if (!text && !options.defaults)
        return fail(text.error());
    if (text && !options.defaults)
        settings.add_main_cf(*text, path, faults);
    settings.add_overrides(options.overrides, faults);
    settings.read_named_files(faults);
    if (auto services = read_file(options.directory + "/master.cf", config::file_size_limit))
        settings.note_references(*services);
    settings.evaluate(faults);
    for (const std::string& name : options.names.empty() ? names_to_show(options, settings) : options.names) {
        if (options.only_set && settings.find(name) == nullptr)
            continue;
        if (auto value = value_to_show(options, settings, name))
            print(options, name, *value);
        else if (!options.quiet)
            warn(cat(name, ": unknown parameter"));
    }
    fflush(stdout);
    for (const config::Fault& fault : faults)
        if (!options.quiet)
            warn(fault.to_text());
    return 0;
}

namespace {

// "smtp", "smtp/inet" and "smtp/inet/NAME" name services and options; no names mean all.
bool wanted(const std::vector<std::string>& names, const std::vector<std::string>& path)
{
    if (names.empty())
        return true;
    for (const std::string& name : names) {
        auto parts = ascii::split(name, "/");
        bool matches = parts.size() <= path.size();
        for (size_t i = 0; matches && i < parts.size(); ++i)
            matches = parts[i] == "*" || parts[i] == path[i];
        if (matches)
            return true;
    }
    return false;
}

// With -x, $name in what an entry says has the value that main.cf gives it.
std::string expanded(const config::Config* config, const std::string& text) { return config ? config->expand(text) : text; }

void show_entry(const Options& options, const MasterEntry& entry, const config::Config* config)
{
    const std::vector<std::string> path = {entry.columns[0], entry.columns[1]};
    if (options.subject == Subject::Services) {
        if (wanted(options.names, path))
            printf("%s\n", expanded(config, entry.to_text(options.fold)).c_str());
        return;
    }
    for (const auto& [name, value] : options.subject == Subject::ServiceFields ? entry.fields() : entry.options())
        if (wanted(options.names, {path[0], path[1], name}))
            print(options, cat(entry.name(), '/', name), expanded(config, value));
}

} // namespace

int show_services(const Options& options)
{
    auto text = read_file(options.directory + "/master.cf", config::file_size_limit);
    if (!text)
        return fail(text.error());
    std::unique_ptr<config::Config> config;
    if (options.expand) {
        std::vector<config::Fault> faults;
        auto loaded = config::Config::load_with_faults(options.directory, options.overrides, faults);
        if (!loaded)
            return fail(loaded.error());
        config = std::move(*loaded);
    }
    for (const MasterEntry& entry : tools::read_master_entries(*text))
        show_entry(options, entry, config.get());
    return 0;
}

} // namespace posthouse::postconf
