// postconf -e, -# and -X: changes main.cf and master.cf, which are replaced at once and whole.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/config/expand.h"
#include "lib/config/lines.h"
#include "tools/postconf_options.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <sys/file.h>
#include <sys/stat.h>

namespace posthouse::postconf {

namespace {

using tools::Edit;
using tools::EditAction;
using tools::MasterEntry;

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

// The field or option of an entry; an error for a name or value that it cannot have.
Result<void> change_entry(MasterEntry& entry, Subject subject, EditAction action, const std::string& name,
                          const std::string& value)
{
    if (subject == Subject::ServiceOptions) {
        if (action == EditAction::Set)
            entry.set_option(name, value);
        else
            entry.remove_option(name);
        return Result<void>();
    }
    if (!entry.set_field(name, value))
        return Error(ErrorKind::Config, cat(entry.name(), ": no field \"", name, "\" with the value \"", value,
                                            "\"; the fields are ", tools::MasterEntry::field_list()));
    return Result<void>();
}

// service/type/name = value: the entry is written anew with the field or option changed.
Result<std::string> change_entries(const std::string& text, Subject subject, EditAction action,
                                   const std::vector<Edit>& edits)
{
    std::string out = text;
    for (const Edit& edit : edits) {
        size_t slash = edit.name.rfind('/');
        std::string service = edit.name.substr(0, slash == std::string::npos ? 0 : slash);
        auto entries = tools::read_master_entries(out);
        auto entry = std::find_if(entries.begin(), entries.end(), [&](const MasterEntry& e) { return e.name() == service; });
        if (entry == entries.end())
            return Error(ErrorKind::Config, cat("master.cf has no entry \"", service, "\""));
        RETURN_IF_ERROR(change_entry(*entry, subject, action, edit.name.substr(slash + 1), edit.value));
        out = tools::edit_master_cf(out, EditAction::Set, {{service, entry->to_text(true)}});
    }
    return out;
}

} // namespace

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
    if (options.subject != Subject::Services)
        return change_file(options.directory, "master.cf", [&](const std::string& text) {
            return change_entries(text, options.subject, action, *edits);
        });
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

} // namespace posthouse::postconf
