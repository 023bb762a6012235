// Table: a lookup table `type:name` behind one awaitable interface. Programs open tables at start,
// before chroot, through Maps, AddressMaps or MatchList (beside this file) or `open`.
//
// A table that cannot be opened is not fatal: it logs a warning, and every lookup in it is a temporary
// error, so that mail waits until the administrator has mended it (Postfix:
// daemon_table_open_error_is_fatal = no). It turns stale when its file appears or changes.
#pragma once

#include "lib/base/result.h"
#include "lib/event/task.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse {
class Loop;
class ThreadPool;
namespace config {
class Config;
}
} // namespace posthouse

namespace posthouse::table {

// A value, nothing, or an error, which is always temporary for the mail in hand.
using Value = Result<std::optional<std::string>>;

class Table {
public:
    virtual ~Table() = default;

    // Keys are folded to lower case where the table type says so; text is UTF-8 or plain bytes.
    virtual Task<Value> lookup(std::string key) = 0;

    // The file behind it was replaced or changed: the process should retire and a new one read it.
    virtual bool stale() const { return false; }

    // False for tables of patterns: parts of an address (user, @domain) are never asked there.
    virtual bool partial_keys() const { return true; }

    virtual const std::string& name() const = 0; // "lmdb:/etc/posthouse/virtual"
};

// What opening needs. The loop and the pool must outlive the tables.
class Context {
public:
    Context(Loop& its_loop, ThreadPool& its_pool) : loop(&its_loop), pool(&its_pool) {}
    // With the parameters of `config` copied.
    Context(Loop& its_loop, ThreadPool& its_pool, const config::Config& config);

    Loop* loop;
    ThreadPool* pool;
    std::string default_type = "lmdb"; // default_database_type: for "name" without type
    std::string recipient_delimiter;   // for AddressMaps
    std::string myorigin;
    bool fold_keys = true;             // look keys up in lower case
    bool warn_missing = true;          // false: `open` returns the error instead of a failing table;
                                       // daemon_table_open_error_is_fatal makes it so
    // regexp and pcre join all values as they stand; the mail program's body and header checks use the same.
    size_t file_limit = 64 << 20;      // bytes of one text table
};

// "type:name", "proxy:type:name" (the prefix is a no-op), or "name" with the default type.
// An error only for an unknown type or bad syntax when !context.warn_missing.
Result<std::unique_ptr<Table>> open(std::string_view type_and_name, const Context& context);

// The file behind a table (with ".lmdb" where that belongs to it); empty when there is none.
std::string file_of(std::string_view type_and_name, const Context& context);

// The types that `open` knows, sorted, for `postconf -m`.
std::string known_types();

} // namespace posthouse::table
