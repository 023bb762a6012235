// Indexed tables: see lmdb_table.h.
#include "lib/table/lmdb_table.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/table/lmdb.h"
#include "lib/table/text_file.h"

#include <sys/stat.h>

namespace posthouse::table {

namespace {

class LmdbTable final : public Table {
public:
    LmdbTable(std::string name, bool fold) : name_(std::move(name)), fold_(fold) {}
    Result<void> open(const std::string& path);
    Task<Value> lookup(std::string key) override { co_return find(fold_ ? ascii::lower(key) : std::move(key)); }
    bool stale() const override { return file_.changed(); }
    const std::string& name() const override { return name_; }

private:
    Value find(std::string key);
    int get(std::string_view key, std::optional<std::string>& into);
    Result<void> check_size(const std::string& path) const;

    std::string name_;
    bool fold_;
    TableFile file_;
    lmdb::Environment environment_;
    lmdb::Transaction transaction_; // reset between lookups
    MDB_dbi database_ = 0;
};

Error lmdb_error(const std::string& what, int code)
{
    if (code > 0)
        return Error::system(what, code);
    return Error(ErrorKind::Corrupt, cat(what, ": ", mdb_strerror(code)));
}

Result<void> LmdbTable::open(const std::string& path)
{
    auto file = TableFile::open(path);
    if (!file)
        return std::move(file.error());
    file_ = std::move(*file);
    MDB_env* environment = nullptr;
    int code = mdb_env_create(&environment);
    environment_.reset(environment);
    if (code == 0)
        code = mdb_env_open(environment, path.c_str(), MDB_RDONLY | MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS, 0644);
    if (code != 0)
        return lmdb_error(cat("open ", path), code);
    RETURN_IF_ERROR(check_size(path));
    MDB_txn* transaction = nullptr;
    code = mdb_txn_begin(environment, nullptr, MDB_RDONLY, &transaction);
    transaction_.reset(transaction);
    if (code == 0)
        code = mdb_dbi_open(transaction, nullptr, 0, &database_);
    if (code != 0)
        return lmdb_error(cat("open ", path), code);
    mdb_txn_reset(transaction);
    return Result<void>();
}

// LMDB trusts its file: reading past the end of a truncated one would end the process by SIGBUS.
Result<void> LmdbTable::check_size(const std::string& path) const
{
    MDB_envinfo information;
    MDB_stat pages;
    struct stat status;
    if (mdb_env_info(environment_.get(), &information) != 0 || mdb_env_stat(environment_.get(), &pages) != 0 ||
        ::fstat(file_.fd(), &status) != 0)
        return Error(ErrorKind::Corrupt, cat(path, ": cannot be examined"));
    const auto needed = (static_cast<unsigned long long>(information.me_last_pgno) + 1) * pages.ms_psize;
    if (static_cast<unsigned long long>(status.st_size) < needed)
        return Error(ErrorKind::Corrupt, cat(path, ": the file is truncated"));
    return Result<void>();
}

int LmdbTable::get(std::string_view key, std::optional<std::string>& into)
{
    MDB_val wanted = lmdb::to_val(key);
    MDB_val found;
    const int code = mdb_get(transaction_.get(), database_, &wanted, &found);
    if (code != 0)
        return code;
    std::string_view value = lmdb::to_text(found);
    if (!value.empty() && value.back() == '\0')
        value.remove_suffix(1);
    into.emplace(value);
    return 0;
}

// Other tools write keys and values with a final null byte, or without: both are found.
Value LmdbTable::find(std::string key)
{
    std::optional<std::string> result;
    const auto longest = static_cast<size_t>(mdb_env_get_maxkeysize(environment_.get()));
    if (key.empty() || key.size() > longest)
        return result;
    int code = mdb_txn_renew(transaction_.get());
    if (code != 0)
        return lmdb_error(name_, code);
    code = get(key, result);
    if (code == MDB_NOTFOUND && key.size() < longest) {
        key.push_back('\0');
        code = get(key, result);
    }
    mdb_txn_reset(transaction_.get());
    if (code != 0 && code != MDB_NOTFOUND)
        return lmdb_error(name_, code);
    return result;
}

} // namespace

Opened open_lmdb(std::string name, std::string_view argument, const Context& context)
{
    auto table = std::make_unique<LmdbTable>(std::move(name), context.fold_keys);
    RETURN_IF_ERROR(table->open(cat(argument, ".lmdb")));
    return std::unique_ptr<Table>(std::move(table));
}

} // namespace posthouse::table
