// LMDB by handles that close themselves: the only header that includes lmdb.h. A read transaction never
// lives across a suspension: it would pin pages.
#pragma once

#include <lmdb.h>

#include <memory>
#include <string_view>

namespace posthouse::lmdb {

struct CloseEnvironment {
    void operator()(MDB_env* environment) const { mdb_env_close(environment); }
};
using Environment = std::unique_ptr<MDB_env, CloseEnvironment>;

struct AbortTransaction {
    void operator()(MDB_txn* transaction) const { mdb_txn_abort(transaction); }
};
using Transaction = std::unique_ptr<MDB_txn, AbortTransaction>;

struct CloseCursor {
    void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};
using Cursor = std::unique_ptr<MDB_cursor, CloseCursor>;

inline MDB_val to_val(std::string_view text)
{
    return MDB_val{text.size(), const_cast<char*>(text.data())};
}
inline std::string_view to_text(const MDB_val& value)
{
    return std::string_view(static_cast<const char*>(value.mv_data), value.mv_size);
}

} // namespace posthouse::lmdb
