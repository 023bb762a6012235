// Changes to configuration files: see config_edit.h.
#include "tools/config_edit.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/config/lines.h"

#include <algorithm>
#include <optional>

namespace posthouse::tools {

namespace {

constexpr size_t columns_before_command = 7;
constexpr std::string_view field_names[columns_before_command] = {
    "service", "type", "private", "unprivileged", "chroot", "wakeup", "process_limit"};
constexpr size_t column_starts[] = {0, 11, 17, 25, 33, 41, 49, 57};
constexpr size_t fold_width = 80;

std::vector<std::string> words_of(std::string_view text)
{
    std::vector<std::string> words;
    while (!(text = ascii::trim(text)).empty()) {
        size_t end = 0;
        if (text.front() == '{') {
            config::Braced braced = config::find_braced(text, 0);
            end = braced.close == std::string_view::npos ? text.size() : braced.close + 1;
        } else {
            while (end < text.size() && !ascii::is_space(text[end]))
                ++end;
        }
        words.emplace_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return words;
}

std::string main_cf_name(std::string_view line)
{
    return std::string(ascii::trim(line.substr(0, line.find('='))));
}

std::string master_cf_name(std::string_view line)
{
    auto words = ascii::split(line, " \t");
    return words.size() < 2 ? std::string() : cat(words[0], '/', words[1]);
}

std::string main_cf_line(const Edit& edit)
{
    return cat(edit.name, " =", edit.value.empty() ? "" : " ", edit.value, '\n');
}

std::string master_cf_line(const Edit& edit)
{
    return cat(edit.value, '\n');
}

using NameOf = std::string (*)(std::string_view);
using LineOf = std::string (*)(const Edit&);

std::string edit_text(std::string_view text, EditAction action, const std::vector<Edit>& edits, NameOf name_of, LineOf line_of)
{
    std::string out;
    std::vector<bool> done(edits.size());
    bool inside = false; // in an entry that is being changed
    while (!text.empty()) {
        size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        std::string_view content = ascii::trim(line);
        // Comments and empty lines stay, also those between the lines of an entry that goes.
        if (content.empty() || content.front() == '#') {
            append_to(out, line, '\n');
            continue;
        }
        if (!ascii::is_space(line.front())) {
            auto edit = std::find_if(edits.begin(), edits.end(), [&](const Edit& e) { return e.name == name_of(line); });
            inside = edit != edits.end();
            size_t index = static_cast<size_t>(edit - edits.begin());
            if (inside && action == EditAction::Set && !done[index]) {
                out += line_of(*edit);
                done[index] = true;
            }
        }
        if (!inside)
            append_to(out, line, '\n');
        else if (action == EditAction::CommentOut)
            append_to(out, '#', line, '\n');
    }
    for (size_t i = 0; i < edits.size(); ++i)
        if (action == EditAction::Set && !done[i])
            out += line_of(edits[i]);
    return out;
}

// "-o name=value" and "-oname=value" at words[at]; `taken` is how many words that is.
std::optional<std::pair<std::string, std::string>> option_at(const std::vector<std::string>& words, size_t at, size_t& taken)
{
    if (!words[at].starts_with("-o"))
        return std::nullopt;
    bool attached = words[at].size() > 2;
    taken = attached ? 1 : 2;
    if (at + taken > words.size())
        return std::nullopt;
    config::Overrides one;
    if (!one.add_option(attached ? words[at].substr(2) : words[at + 1]))
        return std::nullopt;
    return one.pairs().front();
}

} // namespace

std::string edit_main_cf(std::string_view text, EditAction action, const std::vector<Edit>& edits)
{
    return edit_text(text, action, edits, main_cf_name, main_cf_line);
}

std::string edit_master_cf(std::string_view text, EditAction action, const std::vector<Edit>& edits)
{
    return edit_text(text, action, edits, master_cf_name, master_cf_line);
}

std::vector<MasterEntry> read_master_entries(std::string_view text)
{
    std::vector<config::Fault> faults; // they are for `posthouse check`
    std::vector<MasterEntry> entries;
    for (const config::LogicalLine& line : config::logical_lines(text, "master.cf", faults)) {
        auto words = words_of(line.text);
        if (words.size() <= columns_before_command)
            continue;
        auto middle = words.begin() + columns_before_command;
        entries.push_back({{words.begin(), middle}, {middle, words.end()}});
    }
    return entries;
}

std::string MasterEntry::to_text(bool fold) const
{
    std::string out;
    for (size_t i = 0; i < columns.size(); ++i) {
        append_to(out, columns[i], ' ');
        out.resize(std::max(out.size(), column_starts[i + 1]), ' ');
    }
    out += command.front();
    size_t line_start = 0;
    for (size_t i = 1; i < command.size(); ++i) {
        // An option and its argument stay on one line.
        bool argument = command[i - 1] == "-o";
        size_t length = command[i].size() + 1;
        bool full = out.size() - line_start + length > fold_width;
        if (fold && !argument && (command[i] == "-o" || full)) {
            append_to(out, "\n    ", command[i]);
            line_start = out.size() - command[i].size() - 4;
        } else {
            append_to(out, ' ', command[i]);
        }
    }
    return out;
}

std::vector<std::pair<std::string, std::string>> MasterEntry::fields() const
{
    std::vector<std::pair<std::string, std::string>> all;
    for (size_t i = 0; i < columns.size(); ++i)
        all.emplace_back(field_names[i], columns[i]);
    std::string words;
    for (const std::string& word : command)
        append_to(words, words.empty() ? "" : " ", word);
    all.emplace_back("command", std::move(words));
    return all;
}

bool MasterEntry::set_field(std::string_view name, const std::string& value)
{
    std::vector<std::string> words = words_of(value);
    if (name == "command" && !words.empty()) {
        command = std::move(words);
        return true;
    }
    const auto at = std::find(std::begin(field_names), std::end(field_names), name);
    if (at == std::end(field_names) || words.size() != 1)
        return false;
    columns[static_cast<size_t>(at - std::begin(field_names))] = words.front();
    return true;
}

std::string MasterEntry::field_list()
{
    std::string list;
    for (const std::string_view name : field_names)
        append_to(list, name, ", ");
    return list + "command";
}

std::vector<std::pair<std::string, std::string>> MasterEntry::options() const
{
    std::vector<std::pair<std::string, std::string>> found;
    size_t taken = 1;
    for (size_t at = 1; at < command.size() && command[at].starts_with('-'); at += taken) {
        taken = 1;
        if (auto option = option_at(command, at, taken))
            found.push_back(std::move(*option));
    }
    return found;
}

void MasterEntry::remove_option(const std::string& name)
{
    size_t taken = 1;
    for (size_t at = 1; at < command.size() && command[at].starts_with('-'); at += taken) {
        taken = 1;
        auto option = option_at(command, at, taken);
        if (!option || option->first != name)
            continue;
        auto begin = command.begin() + static_cast<std::ptrdiff_t>(at);
        command.erase(begin, begin + static_cast<std::ptrdiff_t>(taken));
        taken = 0;
    }
}

void MasterEntry::set_option(const std::string& name, const std::string& value)
{
    remove_option(name);
    // Behind the other options and before what is the program's own.
    size_t at = 1;
    size_t taken = 1;
    for (; at < command.size() && command[at].starts_with('-'); at += taken) {
        taken = 1;
        (void)option_at(command, at, taken); // for `taken` only
    }
    bool plain = value.find_first_of(" \t{}") == std::string::npos;
    std::string pair = plain ? cat(name, '=', value) : cat("{ ", name, " = ", value, " }");
    command.insert(command.begin() + static_cast<std::ptrdiff_t>(std::min(at, command.size())), {"-o", std::move(pair)});
}

} // namespace posthouse::tools
