// Indexed tables: lmdb, and the names hash and btree for the same. The file is NAME.lmdb, one LMDB
// database without lock file. Readers map a file that never changes: it is rebuilt beside and renamed
// over (lmdb_build.h), so they need no lock and see the change by the replaced file.
#pragma once

#include "lib/table/simple_tables.h"

namespace posthouse::table {

Opened open_lmdb(std::string name, std::string_view argument, const Context& context);

} // namespace posthouse::table
