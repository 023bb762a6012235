// Texts of an administrator for refusals, in which $names stand for what is known of the client and the mail
// (default_rbl_reply, rbl_reply_maps). What comes in by a name is a stranger's text: it is never expanded again, and
// characters that smtpd_expansion_filter does not have become '_'.
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
    // The value of smtpd_expansion_filter: the characters themselves, with C's escapes ("\t\40").
    explicit CharacterFilter(std::string_view characters);
    std::string apply(std::string_view text) const;

private:
    std::bitset<256> allowed_;
};

// $name, ${name}, ${name?text}, ${name:text} and so on as in main.cf. An unknown name is empty, and a warning. An Error
// for a text that does not parse.
Result<std::string> expand_reply(std::string_view text, const NameValues& names, const CharacterFilter& filter);

} // namespace posthouse::smtpd
