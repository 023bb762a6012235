// Making and changing the file of an indexed table, for postmap, postalias and tests. A build happens in
// a temporary file beside the table, which is synced and renamed over it: readers, which use no lock,
// never see a file change under them.
#pragma once

#include "lib/base/result.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace posthouse::table {

class LmdbBuild {
public:
    enum class Start : unsigned char { Empty, Copy /* of the present content */ };
    enum class Duplicate : unsigned char { Keep /* the first */, Replace };

    // `path` with its ".lmdb". `map_size` is the most that the table can hold. The new file gets the
    // owner and mode of `like` (the source file), if that exists.
    static Result<std::unique_ptr<LmdbBuild>> create(const std::string& path, Start start, size_t map_size,
                                                     const std::string& like);
    ~LmdbBuild(); // without finish(): the temporary file is removed

    // False when the key was there and Keep was wanted.
    Result<bool> put(std::string_view key, std::string_view value, Duplicate duplicate);
    Result<bool> remove(std::string_view key); // false: was not there
    Result<void> finish();

    struct Impl;

private:
    explicit LmdbBuild(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// Calls `entry` for each record in the order of keys until it returns false; final null bytes are
// taken off.
Result<void> walk_lmdb(const std::string& path,
                       const std::function<bool(std::string_view key, std::string_view value)>& entry);

} // namespace posthouse::table
