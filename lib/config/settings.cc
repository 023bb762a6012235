// What was set, and its evaluation: see settings.h.
#include "lib/config/settings.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/config/config.h"
#include "lib/config/lines.h"
#include "lib/config/nearest.h"
#include "lib/config/value.h"

#include <algorithm>

namespace posthouse::config {

namespace {

bool is_name(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), is_name_character);
}

// Tables whose file name is the prefix of their own parameters: ldap:accounts -> accounts_server_host.
constexpr std::string_view tables_with_parameters[] = {"ldap", "memcache", "mongodb", "mysql", "pgsql", "sqlite"};

bool names_a_table(std::string_view value, std::string_view type, std::string_view name)
{
    // "ldap:accounts" inside `value`, and `name` begins with "accounts_".
    for (size_t at = value.find(type); at != std::string_view::npos; at = value.find(type, at + 1)) {
        std::string_view rest = value.substr(at + type.size());
        if (rest.empty() || rest.front() != ':')
            continue;
        rest.remove_prefix(1);
        std::string_view table = rest.substr(0, rest.find_first_of(", \t{}:"));
        if (is_name(table) && name.size() > table.size() + 1 && name.starts_with(table) && name[table.size()] == '_')
            return true;
    }
    return false;
}

} // namespace

void Settings::add(Setting setting, std::vector<Fault>& faults, bool may_repeat)
{
    auto [at, fresh] = given_.try_emplace(setting.name, setting);
    if (fresh)
        return;
    if (!may_repeat)
        faults.push_back({setting.file, setting.line, setting.name,
                          cat("replaces the value of line ", at->second.line), true});
    at->second = std::move(setting);
}

void Settings::add_main_cf(std::string_view text, const std::string& file, std::vector<Fault>& faults)
{
    for (const LogicalLine& line : logical_lines(text, file, faults)) {
        size_t equals = line.text.find('=');
        std::string_view name = ascii::trim(std::string_view(line.text).substr(0, equals));
        if (!is_name(name)) {
            faults.push_back({file, line.line, "", cat("expected \"name = value\", not \"", line.text.substr(0, 60), "\"")});
            continue;
        }
        if (equals == std::string::npos) {
            faults.push_back({file, line.line, std::string(name), "expected \"=\" after the name"});
            continue;
        }
        std::string value(ascii::trim(std::string_view(line.text).substr(equals + 1)));
        // A '#' after other text is part of the value, which is hardly ever meant.
        size_t hash = value.find(" #");
        if (hash != std::string::npos)
            faults.push_back({file, line.line, std::string(name),
                              cat("\"", value.substr(hash + 1, 40),
                                  "\" is part of the value: a comment needs a line of its own"), true});
        add({std::string(name), value, value, file, line.line}, faults, false);
    }
}

void Settings::add_overrides(const Overrides& overrides, std::vector<Fault>& faults)
{
    for (const auto& [name, value] : overrides.pairs()) {
        if (is_name(name))
            add({name, value, value, "-o", 0}, faults, true);
        else
            faults.push_back({"-o", 0, name, "expected a name of letters, digits and \"_\""});
    }
}

void Settings::read_named_files(std::vector<Fault>& faults)
{
    for (auto& [name, setting] : given_) {
        const Parameter* parameter = find_parameter(name);
        if (parameter == nullptr || parameter->kind != Kind::TextOrFile || !setting.value.starts_with('/'))
            continue;
        auto content = read_file(setting.value, 65536);
        if (!content) {
            faults.push_back({setting.file, setting.line, name, content.error().full_text()});
            continue;
        }
        std::string_view first = std::string_view(*content).substr(0, content->find('\n'));
        setting.value = ascii::trim(first);
        if (setting.value.empty())
            faults.push_back({setting.file, setting.line, name, cat("the first line of ", setting.written, " is empty")});
    }
}

void Settings::note_references(std::string_view text)
{
    // Names after '$' are used there; names before '=' get a value there.
    for (size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '$') {
            size_t begin = text.find_first_not_of("${( \t", at);
            if (begin == std::string_view::npos)
                break;
            size_t end = begin;
            while (end < text.size() && is_name_character(text[end]))
                ++end;
            if (end > begin)
                referenced_.emplace(text.substr(begin, end - begin));
        } else if (text[at] == '=') {
            size_t end = at;
            while (end > 0 && ascii::is_blank(text[end - 1]))
                --end;
            size_t begin = end;
            while (begin > 0 && is_name_character(text[begin - 1]))
                --begin;
            if (end > begin)
                defined_elsewhere_.emplace(text.substr(begin, end - begin));
        }
    }
}

bool Settings::drop(std::string_view name)
{
    const auto at = given_.find(name);
    if (at == given_.end())
        return false;
    given_.erase(at);
    return true;
}

const Setting* Settings::find(std::string_view name) const
{
    auto at = given_.find(name);
    return at == given_.end() ? nullptr : &at->second;
}

const std::string* Settings::value_of(std::string_view name) const
{
    auto at = values_.find(name);
    return at == values_.end() ? nullptr : &at->second;
}

std::optional<std::string> Settings::unexpanded(std::string_view name) const
{
    if (const Setting* setting = find(name))
        return setting->value;
    if (const Parameter* parameter = find_parameter(name))
        return default_of(*parameter);
    // TRANSPORT_destination_... of any transport has a value even where nobody sets it.
    if (const TransportSuffix* suffix = transport_suffix_of(name))
        return cat("$", suffix->default_name);
    return std::nullopt;
}

std::string Settings::default_of(const Parameter& parameter) const
{
    return parameter.computed() ? computed(parameter.name) : std::string(parameter.def);
}

std::string Settings::computed(std::string_view name) const
{
    if (name == "config_directory")
        return directory_;
    if (name == "myhostname") {
        if (host_.name.find('.') != std::string::npos)
            return host_.name;
        return cat(host_.name, find("mydomain") != nullptr ? ".$mydomain" : ".localdomain");
    }
    if (name == "mydomain")
        return domain_of_host();
    if (name == "mynetworks")
        return host_.trusted_networks(expanded_or_empty("mynetworks_style"),
                                      split_list(expanded_or_empty("inet_interfaces")));
    return "";
}

// The host name without its first label.
std::string Settings::domain_of_host() const
{
    // myhostname = mail.$mydomain with nothing that says what mydomain is.
    if (computing_domain_)
        return "localdomain";
    computing_domain_ = true;
    std::string name = expanded_or_empty("myhostname");
    computing_domain_ = false;
    size_t dot = name.find('.');
    return dot == std::string::npos ? "localdomain" : name.substr(dot + 1);
}

std::string Settings::expanded_or_empty(std::string_view name) const
{
    Expander expander(*this);
    auto value = expander.value(name);
    return value ? std::move(*value) : std::string();
}

void Settings::evaluate(std::vector<Fault>& faults)
{
    for (const Parameter& parameter : parameters())
        evaluate_row(parameter, faults);
    evaluate_user_defined(faults);
    // A value without a value must not pass, even if what it refers to was not looked at by itself.
    if (usable(faults))
        faults.insert(faults.end(), inherited_.begin(), inherited_.end());
    warn_of_unknown(faults);
    warn_of_undefined(faults);
    std::stable_sort(faults.begin(), faults.end(), [](const Fault& a, const Fault& b) { return a.line < b.line; });
}

std::optional<std::string> Settings::evaluate_name(std::string_view name, const Setting* setting, std::vector<Fault>& faults)
{
    Expander expander(*this);
    auto value = expander.value(name);
    referenced_.insert(expander.referenced().begin(), expander.referenced().end());
    if (setting != nullptr)
        for (const std::string& unknown : expander.undefined())
            undefined_.try_emplace(unknown, setting);
    if (value)
        return std::string(ascii::trim(*value));
    // No default is wrong by itself.
    auto& where = expander.own_fault() && setting != nullptr ? faults : inherited_;
    where.push_back({setting != nullptr ? setting->file : "", setting != nullptr ? setting->line : 0, std::string(name),
                     value.error().text()});
    return std::nullopt;
}

void Settings::evaluate_row(const Parameter& parameter, std::vector<Fault>& faults)
{
    std::string& into = values_[parameter.name];
    if (parameter.kind == Kind::Raw) {
        into = *unexpanded(parameter.name);
        note_references(into);
        return;
    }
    const Setting* setting = find(parameter.name);
    auto value = evaluate_name(parameter.name, setting, faults);
    if (!value)
        return;
    into = std::move(*value);
    auto complaint = complaint_about(parameter, into);
    if (complaint && setting != nullptr)
        faults.push_back({setting->file, setting->line, setting->name, std::move(*complaint)});
    else if (complaint) // a default that refers to a wrong value
        inherited_.push_back({"", 0, std::string(parameter.name), std::move(*complaint)});
}

void Settings::evaluate_user_defined(std::vector<Fault>& faults)
{
    for (const auto& [name, setting] : given_) {
        if (find_parameter(name) != nullptr)
            continue;
        auto value = evaluate_name(name, &setting, faults);
        const TransportSuffix* suffix = transport_suffix_of(name);
        if (!value || suffix == nullptr)
            continue;
        if (auto complaint = complaint_about(*find_parameter(suffix->default_name), *value))
            faults.push_back({setting.file, setting.line, name, std::move(*complaint)});
    }
}

bool Settings::has_a_use(std::string_view name) const
{
    if (find_parameter(name) != nullptr || transport_suffix_of(name) != nullptr || referenced_.contains(name))
        return true;
    for (const std::string& item : split_list(expanded_or_empty("smtpd_restriction_classes")))
        if (item == name)
            return true;
    for (const auto& [other, setting] : given_)
        for (std::string_view type : tables_with_parameters)
            if (other != name && names_a_table(setting.value, type, name))
                return true;
    return false;
}

std::string Settings::unknown_name_text(std::string_view name)
{
    std::vector<std::string_view> known;
    for (const Parameter& parameter : parameters())
        known.push_back(parameter.name);
    std::string_view near = nearest_name(name, known);
    std::string text = "unknown parameter, and nothing refers to it";
    if (!near.empty())
        append_to(text, " (did you mean ", near, "?)");
    return text;
}

void Settings::warn_of_unknown(std::vector<Fault>& faults) const
{
    for (const auto& [name, setting] : given_)
        if (!has_a_use(name))
            faults.push_back({setting.file, setting.line, name, unknown_name_text(name), true});
}

void Settings::warn_of_undefined(std::vector<Fault>& faults) const
{
    for (const auto& [name, setting] : undefined_)
        if (!defined_elsewhere_.contains(name))
            faults.push_back({setting->file, setting->line, setting->name,
                              cat("refers to $", name, ", which has no value"), true});
}

} // namespace posthouse::config
