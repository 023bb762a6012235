// The tables that need no library: static, inline, texthash, fail, environ, randmap, and the one that
// stands for a table that could not be opened. Each `open_*` takes what follows "type:".
#pragma once

#include "lib/table/arrival_watch.h"
#include "lib/table/table.h"

namespace posthouse::table {

using Opened = Result<std::unique_ptr<Table>>;

Opened open_static(std::string name, std::string_view argument, const Context& context);
Opened open_inline(std::string name, std::string_view argument, const Context& context);
Opened open_texthash(std::string name, std::string_view argument, const Context& context);
Opened open_fail(std::string name, std::string_view argument, const Context& context);
Opened open_environ(std::string name, std::string_view argument, const Context& context);
Opened open_randmap(std::string name, std::string_view argument, const Context& context);

// Every lookup is a temporary error with this reason; stale once it may be tried again.
std::unique_ptr<Table> failing_table(std::string name, std::string reason, ArrivalWatch retry);

} // namespace posthouse::table
