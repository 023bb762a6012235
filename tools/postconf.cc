/*
NAME
    postconf - show and change the configuration
SYNOPSIS
    postconf [-dfhHnx] [-c DIR] [-o NAME=VALUE] [NAME ...]
    postconf [-e] [-c DIR] NAME=VALUE ...
    postconf -# | -X [-c DIR] NAME ...
    postconf -M [-e | -# | -X] [-f] [-c DIR] [SERVICE[/TYPE][=ENTRY] ...]
    postconf -P [-e | -X] [-c DIR] [SERVICE[/TYPE[/NAME]][=VALUE] ...]
    postconf -m
DESCRIPTION
    postconf prints the parameters of main.cf(5), all or those named, as "name = value". It works with a
    configuration that has faults; those go to standard error.

    -c DIR   configuration directory; default: the environment's MAIL_CONFIG, or the built-in one
    -d       print defaults instead of what is set
    -e       change main.cf: each NAME=VALUE replaces its entry where it stands or is added at the end;
             comments and order stay. The file is replaced at once and whole
    -f       fold long lines
    -h       print values without names
    -H       print names without values
    -l       list the ways to lock a mailbox
    -M       the entries of master.cf(5) instead of parameters; with -e, -# or -X, change them
    -m       list the types of lookup tables
    -n       print only what main.cf sets
    -o NAME=VALUE
             a value that counts instead of the one in main.cf, for this output
    -P       the -o options of entries in master.cf, as service/type/name = value; with -e or -X,
             change them
    -x       expand $name in values
    -#       make comments of these entries of main.cf or master.cf
    -X       remove these entries
    -p, -q, -v
             accepted for compatibility
    --help   print a summary
DIAGNOSTICS
    Exit status 0 on success, also when a name is unknown, of which a warning tells; 1 when a file cannot be
    read or written; 64 for a wrong command line.
SEE ALSO
    main.cf(5), master.cf(5), posthouse(1)
*/
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/config/config.h"
#include "lib/config/lines.h"
#include "lib/config/settings.h"
#include "lib/table/table.h"
#include "tools/config_edit.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include <vector>

using namespace posthouse;
using tools::Edit;
using tools::EditAction;
using tools::MasterEntry;

namespace {

constexpr const char* usage =
    "usage: postconf [-dfhHnx] [-c config_dir] [-o name=value] [name...]\n"
    "       postconf [-e] name=value...    -# name...    -X name...\n"
    "       postconf -M [-e|-#|-X] [service/type[=entry]...]\n"
    "       postconf -P [-e|-X] [service/type/name[=value]...]\n"
    "       postconf -m\n"
    "  -d defaults    -n only what is set    -x expand $name    -h values only    -H names only\n"
    "  -e change      -# comment out         -X remove          -f fold lines\n"
    "  -M entries of master.cf    -P their options    -m types of tables    -l ways to lock\n";

enum class Subject : unsigned char { Parameters, Services, ServiceOptions, TableTypes, LockMethods };

struct Options {
    std::string directory;
    Subject subject = Subject::Parameters;
    bool defaults = false, only_set = false, expand = false, fold = false;
    bool with_name = true, with_value = true;
    std::optional<EditAction> edit;
    config::Overrides overrides;
    std::vector<std::string> names;
};

int fail(const Error& error)
{
    fprintf(stderr, "postconf: fatal: %s\n", error.full_text().c_str());
    return 1;
}

void warn(const std::string& text)
{
    fprintf(stderr, "postconf: warning: %s\n", text.c_str());
}

bool take_letter(int letter, Options& options)
{
    switch (letter) {
    case 'c': options.directory = optarg; return true;
    case 'd': options.defaults = true; return true;
    case 'e': options.edit = EditAction::Set; return true;
    case 'f': options.fold = true; return true;
    case 'h': options.with_name = false; return true;
    case 'H': options.with_value = false; return true;
    case 'l': options.subject = Subject::LockMethods; return true;
    case 'M': options.subject = Subject::Services; return true;
    case 'm': options.subject = Subject::TableTypes; return true;
    case 'n': options.only_set = true; return true;
    case 'o': return static_cast<bool>(options.overrides.add_option(optarg));
    case 'P': options.subject = Subject::ServiceOptions; return true;
    case 'x': options.expand = true; return true;
    case '#': options.edit = EditAction::CommentOut; return true;
    case 'X': options.edit = EditAction::Remove; return true;
    case 'p': case 'q': case 'v': return true;
    default: return false;
    }
}

std::optional<Options> parse(int argc, char** argv)
{
    Options options;
    for (int letter = 0; (letter = getopt(argc, argv, "#c:defhHlMmno:PpqvXx")) != -1;)
        if (!take_letter(letter, options))
            return std::nullopt;
    options.directory = config::Config::directory_from(options.directory);
    options.names.assign(argv + optind, argv + argc);
    // "postconf name=value" is an edit without saying so.
    bool assigns = std::any_of(options.names.begin(), options.names.end(),
                               [](const std::string& name) { return name.find('=') != std::string::npos; });
    if (assigns && !options.edit)
        options.edit = EditAction::Set;
    bool lists = options.defaults || options.only_set || options.expand;
    if (options.edit && (lists || options.names.empty() || options.subject >= Subject::TableTypes))
        return std::nullopt;
    if (options.defaults && options.only_set)
        return std::nullopt;
    return options;
}

// ---- changing a file

// Readers of the directory's lock keep two changes at a time apart; a symbolic link stays one.
template <class Change>
int change_file(const std::string& directory, const char* name, Change change)
{
    auto lock = open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    if (!lock)
        return fail(lock.error());
    if (::flock(lock->get(), LOCK_EX) != 0)
        return fail(Error::system(cat("lock ", directory), errno));
    std::string path = cat(directory, '/', name);
    struct stat facts = {};
    char* real = ::realpath(path.c_str(), nullptr);
    if (real == nullptr || ::stat(real, &facts) != 0)
        return fail(Error::system(cat("open ", path), errno));
    path = real;
    ::free(real);
    auto text = read_file(path, config::file_size_limit);
    if (!text)
        return fail(text.error());
    auto changed = change(*text);
    if (!changed)
        return fail(changed.error());
    if (*changed == *text)
        return 0;
    auto replaced = replace_file(path, *changed, facts.st_mode & 07777);
    return replaced ? 0 : fail(replaced.error());
}

Result<Edit> parse_edit(const std::string& word, EditAction action)
{
    size_t equals = word.find('=');
    if (word.find('\n') != std::string::npos)
        return Error(ErrorKind::Config, cat("a line break stands in \"", word, "\""));
    if (action != EditAction::Set && equals == std::string::npos)
        return Edit{std::string(ascii::trim(word)), ""};
    if (action != EditAction::Set || equals == std::string::npos)
        return Error(ErrorKind::Config, cat(action == EditAction::Set ? "expected name=value, not \"" : "expected a name, not \"", word, "\""));
    return Edit{std::string(ascii::trim(word.substr(0, equals))), std::string(ascii::trim(word.substr(equals + 1)))};
}

Result<std::vector<Edit>> parse_edits(const Options& options)
{
    std::vector<Edit> edits;
    for (const std::string& word : options.names) {
        auto edit = parse_edit(word, *options.edit);
        if (!edit)
            return std::move(edit.error());
        bool name = options.subject != Subject::Parameters ||
                    std::all_of(edit->name.begin(), edit->name.end(), config::is_name_character);
        if (!name || edit->name.empty())
            return Error(ErrorKind::Config, cat("not a name: \"", edit->name, "\""));
        edits.push_back(std::move(*edit));
    }
    return edits;
}

// service/type/name = value: the entry is written anew with the option changed.
Result<std::string> change_options(const std::string& text, EditAction action, const std::vector<Edit>& edits)
{
    std::string out = text;
    for (const Edit& edit : edits) {
        size_t slash = edit.name.rfind('/');
        std::string service = edit.name.substr(0, slash == std::string::npos ? 0 : slash);
        auto entries = tools::read_master_entries(out);
        auto entry = std::find_if(entries.begin(), entries.end(), [&](const MasterEntry& e) { return e.name() == service; });
        if (entry == entries.end())
            return Error(ErrorKind::Config, cat("master.cf has no entry \"", service, "\""));
        std::string name = edit.name.substr(slash + 1);
        if (action == EditAction::Set)
            entry->set_option(name, edit.value);
        else
            entry->remove_option(name);
        out = tools::edit_master_cf(out, EditAction::Set, {{service, entry->to_text(true)}});
    }
    return out;
}

int run_edit(const Options& options)
{
    auto edits = parse_edits(options);
    if (!edits)
        return fail(edits.error());
    EditAction action = *options.edit;
    if (options.subject == Subject::Parameters)
        return change_file(options.directory, "main.cf", [&](const std::string& text) {
            return Result<std::string>(tools::edit_main_cf(text, action, *edits));
        });
    if (options.subject == Subject::ServiceOptions)
        return change_file(options.directory, "master.cf",
                           [&](const std::string& text) { return change_options(text, action, *edits); });
    for (Edit& edit : *edits) {
        auto entries = tools::read_master_entries(edit.value);
        if (action == EditAction::Set && (entries.size() != 1 || entries.front().name() != edit.name))
            return fail(Error(ErrorKind::Config, cat("expected an entry for ", edit.name, " with eight columns, not \"", edit.value, "\"")));
        if (action == EditAction::Set)
            edit.value = entries.front().to_text(true);
    }
    return change_file(options.directory, "master.cf", [&](const std::string& text) {
        return Result<std::string>(tools::edit_master_cf(text, action, *edits));
    });
}

// ---- showing parameters

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

std::vector<std::string> names_to_show(const Options& options, const config::Settings& settings)
{
    std::vector<std::string> names;
    for (const auto& [name, setting] : settings.given())
        if (!options.defaults && (options.only_set || config::find_parameter(name) == nullptr) && settings.has_a_use(name))
            names.push_back(name);
    if (!options.only_set)
        for (const config::Parameter& parameter : config::parameters())
            names.emplace_back(parameter.name);
    std::sort(names.begin(), names.end());
    return names;
}

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
        else
            warn(cat(name, ": unknown parameter"));
    }
    fflush(stdout);
    for (const config::Fault& fault : faults)
        warn(fault.to_text());
    return 0;
}

// ---- showing services

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

int show_services(const Options& options)
{
    auto text = read_file(options.directory + "/master.cf", config::file_size_limit);
    if (!text)
        return fail(text.error());
    for (const MasterEntry& entry : tools::read_master_entries(*text)) {
        if (options.subject == Subject::Services) {
            if (wanted(options.names, {entry.columns[0], entry.columns[1]}))
                printf("%s\n", entry.to_text(options.fold).c_str());
            continue;
        }
        for (const auto& [name, value] : entry.options())
            if (wanted(options.names, {entry.columns[0], entry.columns[1], name}))
                print(options, cat(entry.name(), '/', name), value);
    }
    return 0;
}

int show_words(const std::string& words)
{
    for (std::string_view word : ascii::split(words, " "))
        printf("%.*s\n", static_cast<int>(word.size()), word.data());
    return 0;
}

int run(const Options& options)
{
    if (options.edit)
        return run_edit(options);
    switch (options.subject) {
    case Subject::Parameters: return show_parameters(options);
    case Subject::Services:
    case Subject::ServiceOptions: return show_services(options);
    case Subject::TableTypes: return show_words(table::known_types());
    case Subject::LockMethods: return show_words("flock fcntl dotlock");
    }
    return 1;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc == 2 && std::string_view(argv[1]) == "--help") {
        fputs(usage, stdout);
        return 0;
    }
    auto options = parse(argc, argv);
    if (!options) {
        fputs(usage, stderr);
        return EX_USAGE;
    }
    int status = run(*options);
    return fflush(stdout) == 0 ? status : 1;
}
