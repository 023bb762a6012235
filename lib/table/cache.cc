// The shared cache: see cache.h.
//
// Page 0 is the header: "PHCACHE1", number of pages (8 bytes), the secret (16), CRC-32C of all this (4). Every other
// page: CRC-32C of what follows (4 bytes), length of the records (2), a zero (2), the records in the order in which
// they were written: length of key (2) and value (2), expiry (8), key, value. Numbers are the machine's own: the file
// never leaves it.
#include "lib/table/cache.h"

#include "lib/base/cat.h"
#include "lib/base/crc32c.h"
#include "lib/base/file.h"
#include "lib/base/owned_file.h"
#include "lib/base/random.h"
#include "lib/base/sip_hash.h"
#include "lib/log/log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::table {

namespace {

constexpr size_t page_size = 4096;
constexpr size_t page_head = 8;
constexpr size_t record_head = 12;
constexpr std::string_view magic = "PHCACHE1";
constexpr size_t header_size = 8 + 8 + 16;
constexpr uint64_t most_pages = uint64_t(1) << 28; // 1 TB
constexpr int lock_attempts = 20;
constexpr long lock_pause_ns = 50'000;
constexpr int open_attempts = 20'000; // a second, for the header
constexpr int read_attempts = 3;

static_assert(Cache::longest_record + record_head <= page_size - page_head);

// A lock on one page, which ends with its holder. Taken and given back within one call.
class PageLock {
public:
    PageLock(int fd, uint64_t page, int attempts) : fd_(fd), page_(page)
    {
        for (int i = 0; i < attempts; ++i) {
            if (i > 0) {
                const timespec pause = {0, lock_pause_ns};
                ::nanosleep(&pause, nullptr);
            }
            held_ = set(F_WRLCK);
            if (held_ || (errno != EAGAIN && errno != EACCES && errno != EINTR))
                return;
        }
    }
    ~PageLock()
    {
        if (held_)
            set(F_UNLCK);
    }
    PageLock(const PageLock&) = delete;
    PageLock& operator=(const PageLock&) = delete;
    explicit operator bool() const { return held_; }

private:
    bool set(short type)
    {
        struct flock lock = {};
        lock.l_type = type;
        lock.l_whence = SEEK_SET;
        lock.l_start = static_cast<off_t>(page_ * page_size);
        lock.l_len = page_size;
        return ::fcntl(fd_, F_OFD_SETLK, &lock) == 0;
    }

    int fd_;
    uint64_t page_;
    bool held_ = false;
};

template <class Integer>
Integer take(std::string_view bytes, size_t at)
{
    Integer value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}
template <class Integer>
void add(std::string& bytes, Integer value)
{
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

struct Record {
    std::string_view key;
    std::string_view value;
    int64_t expires = 0;
    size_t size = 0;
};

// The record at the beginning; nothing when there is none that is whole.
std::optional<Record> first_record(std::string_view records)
{
    if (records.size() < record_head)
        return std::nullopt;
    const size_t key = take<uint16_t>(records, 0);
    const size_t value = take<uint16_t>(records, 2);
    Record record;
    record.size = record_head + key + value;
    if (record.size > records.size())
        return std::nullopt;
    record.expires = take<int64_t>(records, 4);
    record.key = records.substr(record_head, key);
    record.value = records.substr(record_head + key, value);
    return record;
}

void append_record(std::string& records, std::string_view key, const CacheEntry& entry)
{
    add(records, static_cast<uint16_t>(key.size()));
    add(records, static_cast<uint16_t>(entry.value.size()));
    add(records, entry.expires);
    records.append(key).append(entry.value);
}

template <class Visit>
void each_record(std::string_view records, Visit visit)
{
    while (const auto record = first_record(records)) {
        visit(*record);
        records.remove_prefix(record->size);
    }
}

// The oldest are in front.
void make_room(std::string& records, size_t wanted)
{
    size_t drop = 0;
    while (records.size() - drop + wanted > page_size - page_head) {
        const auto record = first_record(std::string_view(records).substr(drop));
        drop = record ? drop + record->size : records.size();
    }
    records.erase(0, drop);
}

std::string header_of(uint64_t pages, const uint64_t (&secret)[2])
{
    std::string header(magic);
    add(header, pages);
    add(header, secret[0]);
    add(header, secret[1]);
    add(header, crc32c(header));
    return header;
}

bool is_header(std::string_view header)
{
    return header.substr(0, magic.size()) == magic && take<uint32_t>(header, header_size) == crc32c(header.substr(0, header_size))
           && take<uint64_t>(header, 8) >= 2 && take<uint64_t>(header, 8) <= most_pages;
}

} // namespace

Result<std::string> Cache::file_of(std::string_view name)
{
    std::string_view path = name;
    if (path.starts_with("proxy:"))
        path.remove_prefix(6);
    if (const size_t colon = path.find(':'); colon != std::string_view::npos && path.substr(0, colon).find('/') == std::string_view::npos) {
        const std::string_view type = path.substr(0, colon);
        const std::string_view types[] = {"lmdb", "btree", "hash", "cache"};
        if (std::find(std::begin(types), std::end(types), type) == std::end(types))
            return Error(ErrorKind::Config, cat(name, ": not a type of table for a cache; name it lmdb:/path"));
        path.remove_prefix(colon + 1);
    }
    if (!path.starts_with('/') || path.ends_with('/'))
        return Error(ErrorKind::Config, cat('"', name, "\": expected the path of a file, as in lmdb:/path"));
    return cat(path, ".cache");
}

Result<std::unique_ptr<Cache>> Cache::open(std::string_view name, size_t bytes)
{
    auto path = file_of(name);
    if (!path)
        return std::move(path.error());
    auto file = open_owned_file(*path);
    if (!file)
        return std::move(file.error());
    std::unique_ptr<Cache> cache(new Cache(std::move(*path), std::move(*file)));
    RETURN_IF_ERROR(cache->read_header(bytes));
    return cache;
}

Result<void> Cache::read_header(size_t bytes)
{
    const PageLock lock(file_.get(), 0, open_attempts);
    if (!lock)
        return Error(ErrorKind::Temporary, cat(path_, ": locked by another process"));
    std::string header(header_size + 4, '\0');
    auto got = pread_full(file_.get(), header.data(), header.size(), 0);
    if (!got)
        return std::move(got.error()).within(path_);
    if (*got == header.size() && is_header(header)) {
        pages_ = take<uint64_t>(header, 8);
    } else {
        if (*got > 0)
            log::warning(path_, ": damaged, or no cache of this program; it begins empty");
        pages_ = std::clamp<uint64_t>(bytes / page_size, 2, most_pages);
        random_bytes(secret_, sizeof secret_);
        header = header_of(pages_, secret_);
        if (::ftruncate(file_.get(), 0) != 0)
            return Error::system(cat("empty ", path_), errno);
        RETURN_IF_ERROR(pwrite_all(file_.get(), header, 0));
    }
    secret_[0] = take<uint64_t>(header, 16);
    secret_[1] = take<uint64_t>(header, 24);
    // Pages that were never written take no room on disk.
    if (::ftruncate(file_.get(), static_cast<off_t>(pages_ * page_size)) != 0)
        return Error::system(cat("resize ", path_), errno);
    return Result<void>();
}

uint64_t Cache::page_of(std::string_view key) const
{
    return 1 + sip_hash(secret_[0], secret_[1], key) % (pages_ - 1);
}

// The records of a page; none when it is damaged. A page that another process writes at this moment may be read half
// old, half new: so a bad one is read again. False when the file cannot be read.
bool Cache::read_page(uint64_t number, std::string& records)
{
    char page[page_size];
    records.clear();
    for (int i = 0; i < read_attempts; ++i) {
        const auto got = pread_full(file_.get(), page, page_size, number * page_size);
        if (!got)
            return false;
        const std::string_view bytes(page, *got);
        if (bytes.size() < page_head)
            return true; // cut off
        const size_t length = take<uint16_t>(bytes, 4);
        if (length == 0 && take<uint32_t>(bytes, 0) == 0)
            return true; // never written
        if (page_head + length <= bytes.size() && take<uint32_t>(bytes, 0) == crc32c(bytes.substr(4, page_head - 4 + length))) {
            records = bytes.substr(page_head, length);
            return true;
        }
    }
    return true;
}

bool Cache::write_page(uint64_t number, std::string_view records)
{
    std::string page(4, '\0');
    add(page, static_cast<uint16_t>(records.size()));
    add(page, uint16_t(0));
    page += records;
    const uint32_t checksum = crc32c(std::string_view(page).substr(4));
    std::memcpy(page.data(), &checksum, sizeof checksum);
    const Result<void> written = pwrite_all(file_.get(), page, number * page_size);
    if (!written && !std::exchange(complained_, true))
        log::warning(path_, ": ", written.error().full_text(), "; what is new is not remembered");
    return static_cast<bool>(written);
}

std::optional<CacheEntry> Cache::get(std::string_view key, int64_t now)
{
    std::string records;
    read_page(page_of(key), records);
    std::optional<CacheEntry> found;
    each_record(records, [&](const Record& record) {
        if (record.key == key && record.expires > now)
            found.emplace(std::string(record.value), record.expires);
    });
    return found;
}

bool Cache::update(std::string_view key, int64_t now, const Change& change)
{
    const uint64_t number = page_of(key);
    const PageLock lock(file_.get(), number, lock_attempts);
    std::string before;
    if (!lock || !read_page(number, before))
        return false;
    std::string after;
    std::optional<CacheEntry> entry;
    each_record(before, [&](const Record& record) {
        if (record.expires <= now)
            return;
        if (record.key == key)
            entry.emplace(std::string(record.value), record.expires);
        else
            append_record(after, record.key, CacheEntry(std::string(record.value), record.expires));
    });
    change(entry);
    bool kept = true;
    if (entry && entry->expires > now) {
        kept = key.size() + entry->value.size() <= longest_record;
        if (kept) {
            make_room(after, record_head + key.size() + entry->value.size());
            append_record(after, key, *entry);
        }
    }
    if (after == before)
        return kept;
    return write_page(number, after) && kept;
}

bool Cache::put(std::string_view key, std::string_view value, int64_t expires, int64_t now)
{
    return update(key, now, [&](std::optional<CacheEntry>& entry) { entry.emplace(std::string(value), expires); });
}

void Cache::erase(std::string_view key, int64_t now)
{
    (void)update(key, now, [](std::optional<CacheEntry>& entry) { entry.reset(); }); // what stays will expire
}

void Cache::walk(int64_t now, const std::function<void(std::string_view key, const CacheEntry& entry)>& visit)
{
    std::string records;
    for (uint64_t number = 1; number < pages_; ++number) {
        if (!read_page(number, records))
            return;
        each_record(records, [&](const Record& record) {
            if (record.expires > now)
                visit(record.key, CacheEntry(std::string(record.value), record.expires));
        });
    }
}

bool Cache::stale() const
{
    struct stat status;
    return ::fstat(file_.get(), &status) == 0 && status.st_nlink == 0;
}

} // namespace posthouse::table
