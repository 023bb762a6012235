// What cidr, regexp and pcre tables share: rules one on a logical line, if/endif blocks, negation, and
// the $1 substitution in the value of a rule.
#pragma once

#include "lib/base/result.h"
#include "lib/table/text_file.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::table {

// One line, still as text: [if] [!]pattern [flags] [value] | endif.
class RuleText {
public:
    enum class Kind : unsigned char { Match, If, EndIf };
    Kind kind = Kind::Match;
    bool negated = false;
    int line = 0;
    std::string pattern; // without delimiters; for cidr the network
    std::string flags;   // letters behind the closing delimiter
    std::string value;
};

enum class PatternSyntax : unsigned char { Delimited /* /pattern/flags */, Word /* cidr */ };
Result<RuleText> parse_rule(const LogicalLine& line, PatternSyntax syntax);

// A value with its $1, ${1}, $(1) and $$ taken apart, once at opening.
class Substitution {
public:
    // `groups`: how many the pattern has. An error for one that it has not.
    static Result<Substitution> parse(std::string_view text, size_t groups);
    static Substitution plain(std::string text);
    // `group` gives the text of a group, empty when it took no part.
    std::string apply(const std::function<std::string_view(size_t)>& group) const;
    bool empty() const { return parts_.empty(); }
    bool uses_groups() const;

private:
    struct Part {
        std::string text;
        size_t group; // 0: plain text
    };
    std::vector<Part> parts_;
};

// Checks that if and endif pair up, and gives for each `if` the index behind its endif.
Result<std::vector<size_t>> block_ends(const std::vector<RuleText>& rules);

} // namespace posthouse::table
