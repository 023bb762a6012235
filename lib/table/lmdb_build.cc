// Building indexed tables: see lmdb_build.h.
#include "lib/table/lmdb_build.h"

#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/table/lmdb.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::table {

namespace {
Error lmdb_error(const std::string& what, int code)
{
    if (code > 0)
        return Error::system(what, code);
    return Error(ErrorKind::Permanent, cat(what, ": ", mdb_strerror(code)));
}

std::string directory_of(const std::string& path)
{
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos)
        return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

std::string_view without_null(const MDB_val& value)
{
    std::string_view text = lmdb::to_text(value);
    if (!text.empty() && text.back() == '\0')
        text.remove_suffix(1);
    return text;
}
} // namespace

struct LmdbBuild::Impl {
    ~Impl()
    {
        transaction.reset();
        environment.reset();
        if (!temporary.empty())
            ::unlink(temporary.c_str());
    }
    std::string path;
    std::string temporary; // empty once renamed
    lmdb::Environment environment;
    lmdb::Transaction transaction;
    MDB_dbi database = 0;
};

LmdbBuild::LmdbBuild(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LmdbBuild::~LmdbBuild() = default;

namespace {
// Makes the temporary file, with the rights of `like` or of an ordinary new file.
Result<std::string> make_temporary(const std::string& path, const std::string& like)
{
    std::string name = path + ".tmpXXXXXX";
    const UniqueFd fd(::mkostemp(name.data(), O_CLOEXEC));
    if (!fd)
        return Error::system(cat("create ", name), errno);
    struct stat status;
    if (::stat(like.c_str(), &status) == 0) {
        if (::geteuid() == 0 && ::fchown(fd.get(), status.st_uid, status.st_gid) != 0)
            return Error::system(cat("change owner of ", name), errno);
        ::fchmod(fd.get(), status.st_mode & 0777);
    } else {
        ::fchmod(fd.get(), 0644);
    }
    return name;
}

Result<lmdb::Environment> open_for_writing(const std::string& path, size_t map_size)
{
    MDB_env* raw = nullptr;
    int code = mdb_env_create(&raw);
    lmdb::Environment environment(raw);
    if (code == 0)
        code = mdb_env_set_mapsize(raw, map_size);
    // NOSYNC: one fsync at the end is enough for a file that no one uses before its rename.
    if (code == 0)
        code = mdb_env_open(raw, path.c_str(), MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0644);
    if (code != 0)
        return lmdb_error(cat("open ", path), code);
    return environment;
}
} // namespace

Result<std::unique_ptr<LmdbBuild>> LmdbBuild::create(const std::string& path, Start start, size_t map_size,
                                                     const std::string& like)
{
    auto impl = std::make_unique<Impl>();
    impl->path = path;
    auto temporary = make_temporary(path, like);
    if (!temporary)
        return std::move(temporary.error());
    impl->temporary = *temporary;
    auto environment = open_for_writing(impl->temporary, map_size);
    if (!environment)
        return std::move(environment.error());
    impl->environment = std::move(*environment);
    MDB_txn* transaction = nullptr;
    int code = mdb_txn_begin(impl->environment.get(), nullptr, 0, &transaction);
    impl->transaction.reset(transaction);
    if (code == 0)
        code = mdb_dbi_open(transaction, nullptr, 0, &impl->database);
    if (code != 0)
        return lmdb_error(cat("open ", path), code);
    auto build = std::unique_ptr<LmdbBuild>(new LmdbBuild(std::move(impl)));
    if (start == Start::Copy && ::access(path.c_str(), F_OK) == 0) {
        Result<void> copied;
        RETURN_IF_ERROR(walk_lmdb(path, [&](std::string_view key, std::string_view value) {
            auto put = build->put(key, value, Duplicate::Replace);
            if (!put)
                copied = std::move(put.error());
            return static_cast<bool>(copied);
        }));
        RETURN_IF_ERROR(std::move(copied));
    }
    return build;
}

Result<bool> LmdbBuild::put(std::string_view key, std::string_view value, Duplicate duplicate)
{
    if (key.empty() || key.size() > static_cast<size_t>(mdb_env_get_maxkeysize(impl_->environment.get())))
        return Error(ErrorKind::Permanent, cat("key is empty or too long: \"", key.substr(0, 100), '"'));
    MDB_val raw_key = lmdb::to_val(key);
    MDB_val raw_value = lmdb::to_val(value);
    const int code = mdb_put(impl_->transaction.get(), impl_->database, &raw_key, &raw_value,
                             duplicate == Duplicate::Keep ? MDB_NOOVERWRITE : 0);
    if (code == MDB_KEYEXIST)
        return false;
    if (code == MDB_MAP_FULL)
        return Error(ErrorKind::Permanent, cat(impl_->path, ": the table is full: increase lmdb_map_size"));
    if (code != 0)
        return lmdb_error(cat("write ", impl_->path), code);
    return true;
}

Result<bool> LmdbBuild::remove(std::string_view key)
{
    MDB_val raw_key = lmdb::to_val(key);
    const int code = mdb_del(impl_->transaction.get(), impl_->database, &raw_key, nullptr);
    if (code == MDB_NOTFOUND || code == MDB_BAD_VALSIZE)
        return false;
    if (code != 0)
        return lmdb_error(cat("delete from ", impl_->path), code);
    return true;
}

Result<void> LmdbBuild::finish()
{
    int code = mdb_txn_commit(impl_->transaction.release());
    if (code == 0)
        code = mdb_env_sync(impl_->environment.get(), 1);
    if (code != 0)
        return lmdb_error(cat("write ", impl_->path), code);
    impl_->environment.reset();
    if (::rename(impl_->temporary.c_str(), impl_->path.c_str()) != 0)
        return Error::system(cat("rename to ", impl_->path), errno);
    impl_->temporary.clear();
    return sync_directory(directory_of(impl_->path));
}

Result<void> walk_lmdb(const std::string& path,
                       const std::function<bool(std::string_view key, std::string_view value)>& entry)
{
    MDB_env* raw_environment = nullptr;
    int code = mdb_env_create(&raw_environment);
    const lmdb::Environment environment(raw_environment);
    if (code == 0)
        code = mdb_env_open(raw_environment, path.c_str(), MDB_RDONLY | MDB_NOSUBDIR | MDB_NOLOCK, 0644);
    MDB_txn* raw_transaction = nullptr;
    if (code == 0)
        code = mdb_txn_begin(raw_environment, nullptr, MDB_RDONLY, &raw_transaction);
    const lmdb::Transaction transaction(code == 0 ? raw_transaction : nullptr);
    MDB_dbi database = 0;
    if (code == 0)
        code = mdb_dbi_open(raw_transaction, nullptr, 0, &database);
    MDB_cursor* raw_cursor = nullptr;
    if (code == 0)
        code = mdb_cursor_open(raw_transaction, database, &raw_cursor);
    const lmdb::Cursor cursor(code == 0 ? raw_cursor : nullptr);
    MDB_val key;
    MDB_val value;
    while (code == 0 && (code = mdb_cursor_get(raw_cursor, &key, &value, MDB_NEXT)) == 0)
        if (!entry(without_null(key), without_null(value)))
            return Result<void>();
    if (code != MDB_NOTFOUND)
        return lmdb_error(cat("read ", path), code);
    return Result<void>();
}

} // namespace posthouse::table
