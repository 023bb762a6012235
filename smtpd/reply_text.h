// $names in an administrator's text for refusals (default_rbl_reply, rbl_reply_maps, smtpd_reject_footer). What comes in by
// a name is a stranger's text: it is never expanded again, and characters that smtpd_expansion_filter does not have become
// '_'. Used by rules_lists.cc and reject_text.cc.
#pragma once

#include "lib/base/result.h"

#include <bitset>
#include <functional>
#include <string>
#include <string_view>

namespace posthouse::smtpd {

// Whether `name` is known, and what it stands for.
using NameValues = std::function<bool(std::string_view name, std::string& value)>;

class CharacterFilter {
public:
    CharacterFilter() = default; // lets nothing through
    // The value of smtpd_expansion_filter: the characters themselves, with C's escapes ("\t\40").
    explicit CharacterFilter(std::string_view characters);
    std::string apply(std::string_view text) const;

private:
    std::bitset<256> allowed_;
};

// $name, ${name}, ${name?text}, ${name:text} and so on as in main.cf. An Error for a text that does not parse, or has a
// name that is not known.
Result<std::string> expand_reply(std::string_view text, const NameValues& names, const CharacterFilter& filter);

} // namespace posthouse::smtpd
