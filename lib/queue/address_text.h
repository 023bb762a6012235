// Cutting an address in external form ("a b"@example.com) at its domain, for rewriting and routing, which
// work on the text as it stands and take every address that a client may send, odd ones included.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace posthouse::queue {

// The last `@` outside of quotes, or npos.
size_t find_domain_separator(std::string_view address);

// Views into the address they were cut from.
class AddressParts {
public:
    explicit AddressParts(std::string_view address);

    std::string_view local;  // as written, quotes included
    std::string_view domain; // after the last @; empty without one, or after a bare "user@"
    bool has_separator = false;
    bool quoted() const { return !local.empty() && local.front() == '"'; }
};

// What a local part in quotes stands for; one without quotes comes back as it is.
std::string unquote_local(std::string_view local);

// A list in the result of a table, cut as table::split_list_items says: the addresses without comments,
// names and angle brackets. None is looked at more closely: see table::breaks_apart.
std::vector<std::string> split_address_list(std::string_view list);

// `extension` ("+ext") behind the local part, inside of its quotes.
std::string with_extension(std::string_view address, std::string_view extension);

// What a table's result makes of the address it was found for: "@other" keeps the local part, all else is
// taken as it is.
std::string apply_result(std::string_view address, std::string_view matched_extension, std::string_view result);

} // namespace posthouse::queue
