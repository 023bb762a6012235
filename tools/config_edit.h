// Changes to the text of main.cf and master.cf for postconf -e, -X and -#. Comments, order and the form
// of everything else stay as they are. Pure: text in, text out.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace posthouse::tools {

enum class EditAction : unsigned char { Set, Remove, CommentOut };

// One thing to do to the entry with this name. An entry that Set does not find is added at the end.
struct Edit {
    std::string name;
    std::string value; // of Set: what follows "name = "
};

std::string edit_main_cf(std::string_view text, EditAction action, const std::vector<Edit>& edits);

// Names are "service/type"; the value of Set is the whole entry.
std::string edit_master_cf(std::string_view text, EditAction action, const std::vector<Edit>& edits);

// An entry of master.cf as it stands: seven columns, then the command's words, braces kept.
struct MasterEntry {
    std::vector<std::string> columns;
    std::vector<std::string> command;
    std::string name() const { return columns[0] + '/' + columns[1]; }
    std::string to_text(bool fold) const;

    // The eight columns by name; the last one, "command", is all words behind the seventh.
    std::vector<std::pair<std::string, std::string>> fields() const;
    // False for a name that is no field, or a value that would be more or less than one word (of all but command).
    bool set_field(std::string_view name, const std::string& value);
    static std::string field_list();

    // The -o options among the words: name and value, in order.
    std::vector<std::pair<std::string, std::string>> options() const;
    void set_option(const std::string& name, const std::string& value);
    void remove_option(const std::string& name);
};

// An entry needs all eight columns; another line is left out.
std::vector<MasterEntry> read_master_entries(std::string_view text);

} // namespace posthouse::tools
