// Cache: small keys and values with a time to die, in a file of data_directory that all processes of the instance
// share: results of screening, verified addresses, greylisting, counts of a day. It may forget anything at any time,
// for want of room or because its file was damaged, and never gives a value other than the one that was put in.
// Losing it costs time, never mail.
//
// The file is an array of pages of 4 KB. The hash of a key, with a secret that the file keeps, names the page where
// the key's record is; each page has a checksum of its own. So
// - the size is fixed: in a page that is full the records that were written longest ago make room;
// - a page that was damaged, or cut off, is an empty page, whatever is in it; the other pages do not suffer. Nothing is
//   mapped, so that a file cut short is a short read and no SIGBUS; no offset is taken from the file without a check;
// - a change of one key is one locked page, read, changed and written: a process that is killed leaves the old page or
//   the new one, and its lock goes with it; one that is stopped keeps others from changing that page only, and they
//   wait for it for a few milliseconds.
// Nothing is ever synced: after a power cut each page is one of its versions, or empty.
//
// Opened as root or not, before privileges drop; works by its descriptor alone afterwards (chroot, Landlock, seccomp).
// Calls are synchronous system calls on cached pages, four for a change and one for a look: some microseconds, as with
// LMDB that does not sync. They may be made on the loop's thread.
// One object serves one thread.
#pragma once

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse::table {

class CacheEntry {
public:
    CacheEntry() = default;
    CacheEntry(std::string its_value, int64_t its_expiry) : value(std::move(its_value)), expires(its_expiry) {}

    std::string value;
    int64_t expires = 0; // seconds since 1970; from then on it is not there
};

class Cache {
public:
    // Key and value together. A longer record is not kept.
    static constexpr size_t longest_record = 2000;

    // `name` is what a parameter such as postscreen_cache_map says: "lmdb:/path", "btree:/path", "/path": whatever the
    // type, the file is "/path.cache" in this format. "" is no cache: an error. `bytes`: size of a file that is made
    // now; one that is there keeps its own.
    static Result<std::unique_ptr<Cache>> open(std::string_view name, size_t bytes = 32 << 20);
    static Result<std::string> file_of(std::string_view name);

    Cache(const Cache&) = delete;
    Cache& operator=(const Cache&) = delete;

    // `now`: seconds since 1970, in all calls.
    std::optional<CacheEntry> get(std::string_view key, int64_t now);
    // False when it could not be kept: too long, disk full, page locked by a process that stands still.
    bool put(std::string_view key, std::string_view value, int64_t expires, int64_t now);
    void erase(std::string_view key, int64_t now);

    // Looks, decides, writes, with no other process in between. `change` gets the entry, or nothing, and leaves what
    // shall be there; it is called once, or not at all when the page cannot be locked: then false, as for put().
    using Change = std::function<void(std::optional<CacheEntry>& entry)>;
    bool update(std::string_view key, int64_t now, const Change& change);

    // Every record, in no order: for tools. Takes as long as reading the file does.
    void walk(int64_t now, const std::function<void(std::string_view key, const CacheEntry& entry)>& visit);

    // The file was removed or replaced: the process should retire, and a new one open the new file.
    bool stale() const;

    const std::string& path() const { return path_; }

private:
    Cache(std::string path, UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}
    Result<void> read_header(size_t bytes);
    uint64_t page_of(std::string_view key) const;
    bool read_page(uint64_t number, std::string& records);
    bool write_page(uint64_t number, std::string_view records);

    std::string path_;
    UniqueFd file_;
    uint64_t pages_ = 0;
    uint64_t secret_[2] = {};
    bool complained_ = false; // of the disk
};

} // namespace posthouse::table
