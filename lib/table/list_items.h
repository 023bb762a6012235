// How a list of addresses in a table's value, an alias or an :include: file is cut: at commas, and at white
// space where that stands between two addresses. Pure, linear.
#pragma once

#include <string_view>
#include <vector>

namespace posthouse::table {

// White space does not cut within double quotes, (comments) and <angle brackets>, within a name before
// <address>, beside an @, behind ":include:", nor in a |command without quotes, which goes on to
// the next comma. Items are views into `list`, trimmed; comments and quotes are still in them; empty ones
// are left out. A quote, comment or bracket without its end runs to the end of the list.
std::vector<std::string_view> split_list_items(std::string_view list);

// White space or an angle bracket outside of quotes, a control character anywhere, or a quote without an
// end: no address, and more than one word to whoever reads it out of an SMTP command.
bool breaks_apart(std::string_view address);

} // namespace posthouse::table
