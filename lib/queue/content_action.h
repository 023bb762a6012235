// What header_checks and its kin may say of a line: "REJECT text", "PREPEND X-Seen: yes" (header_checks(5)). Pure.
#pragma once

#include "lib/base/result.h"

#include <string>
#include <string_view>

namespace posthouse::queue {

class ContentAction {
public:
    enum class Do : unsigned char {
        Nothing, // DUNNO, OK
        Bcc,
        Discard,
        Filter,
        Hold,
        Ignore,
        Info,
        Pass,
        Prepend,
        Redirect,
        Reject,
        Replace,
        Strip,
        Warn,
    };
    ContentAction() = default;
    ContentAction(Do the_action, std::string_view its_text) : action(the_action), text(its_text) {}

    // The value of an entry. The Error says what is wrong with it; such an entry then does nothing. `for_header`: text
    // that is to stand in a header must be a header field.
    static Result<ContentAction> parse(std::string_view value, bool for_header);

    std::string_view logged_as() const; // "reject"; "" for those that are not logged

    Do action = Do::Nothing;
    std::string text; // what follows the word, without blanks around it
};

} // namespace posthouse::queue
