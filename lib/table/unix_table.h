// unix:passwd.byname and unix:group.byname: the system's users and groups, as lines of their files.
// The name service may block, so it is asked in the thread pool.
#pragma once

#include "lib/table/simple_tables.h"

namespace posthouse::table {

Opened open_unix(std::string name, std::string_view argument, const Context& context);

} // namespace posthouse::table
