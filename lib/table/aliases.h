// The text of aliases(5): "name: target, target, ..." as postalias stores it and local reads it. Pure.
#pragma once

#include "lib/base/result.h"
#include "lib/table/text_file.h"

#include <string>
#include <string_view>
#include <vector>

namespace posthouse::table {

class AliasTarget {
public:
    enum class Kind : unsigned char {
        Address, // external form; a leading backslash (no further aliases) stays
        File,    // "/var/mail/archive": an mbox, or a Maildir when it ends in a slash
        Command, // what follows the |
        Include, // what follows :include:
    };
    AliasTarget(Kind its_kind, std::string its_text) : kind(its_kind), text(std::move(its_text)) {}
    friend bool operator==(const AliasTarget&, const AliasTarget&) = default;
    Kind kind;
    std::string text;
};

// A logical line of an alias file; the name may stand in double quotes. The value is checked and kept
// as it is.
Result<Record> parse_alias_line(std::string_view line);

// The targets of one alias, or one line of an :include: file, parted by commas or white space. Quotes go around a whole target
// ("|command with, comma", "/file name", "john doe") or a local part ("john doe"@example.com); text in
// parentheses is a comment; "Name <address>" is the address. At most `most` targets.
Result<std::vector<AliasTarget>> parse_alias_value(std::string_view value, size_t most = 100000);

} // namespace posthouse::table
