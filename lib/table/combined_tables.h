// Tables made of tables: unionmap (all answers, comma-separated) and pipemap (each answer is the next
// table's question).
#pragma once

#include "lib/table/simple_tables.h"

namespace posthouse::table {

Opened open_unionmap(std::string name, std::string_view argument, const Context& context);
Opened open_pipemap(std::string name, std::string_view argument, const Context& context);

} // namespace posthouse::table
