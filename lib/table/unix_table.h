// unix:passwd.byname and unix:group.byname: the system's users and groups, as lines of their files.
//
// All of them are read when the table is opened, because a program in a chroot or sandbox cannot ask any
// more; a change of /etc/passwd or /etc/group makes the table stale. Who is not among them is asked for
// in the thread pool, which finds accounts of name services that do not list all they have, as long as
// the process may talk to them.
#pragma once

#include "lib/table/simple_tables.h"

namespace posthouse::table {

Opened open_unix(std::string name, std::string_view argument, const Context& context);

} // namespace posthouse::table
