// Tables of patterns, tried in order; the first that matches gives the value: cidr (networks), regexp
// (POSIX extended) and pcre (PCRE2, bounded in steps, memory and depth). The argument is a file's
// name, or { rule }, { rule } within main.cf.
#pragma once

#include "lib/table/simple_tables.h"

namespace posthouse::table {

Opened open_cidr(std::string name, std::string_view argument, const Context& context);
Opened open_regexp(std::string name, std::string_view argument, const Context& context);
Opened open_pcre(std::string name, std::string_view argument, const Context& context);

} // namespace posthouse::table
