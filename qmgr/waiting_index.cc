// The LMDB index of messages that wait: see waiting_index.h. A cache: when it is in doubt it is dropped, and the files
// of the queue fill it again.
#include "qmgr/waiting_index.h"

#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/ipc/codec.h"
#include "lib/log/log.h"
#include "lib/table/lmdb.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::qmgr {

namespace {

constexpr uint8_t record_version = 2;
constexpr size_t first_map_size = size_t{64} << 20;
constexpr size_t list_bytes = size_t{1} << 20;
constexpr const char* file_name = "waiting.lmdb";

// Big-endian, so that LMDB's byte order is the order of numbers.
void put_big_endian(std::string& out, uint64_t value)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        out.push_back(static_cast<char>(value >> shift & 0xff));
}

uint64_t get_big_endian(std::string_view bytes)
{
    uint64_t value = 0;
    for (const char byte : bytes.substr(0, 8))
        value = value << 8 | static_cast<unsigned char>(byte);
    return value;
}

std::string number_key(uint64_t number)
{
    std::string key;
    put_big_endian(key, number);
    return key;
}

// New mail is due before all that was tried already, in order of arrival.
int64_t order_time(const WaitingMessage& message)
{
    constexpr int64_t ten_years_us = int64_t{3650} * 86400 * 1000000;
    const int64_t time_us = message.incoming ? message.next_us - ten_years_us : message.next_us;
    return time_us < 0 ? 0 : time_us;
}

std::string due_key(const WaitingMessage& message)
{
    std::string key;
    put_big_endian(key, static_cast<uint64_t>(order_time(message)));
    put_big_endian(key, message.number);
    return key;
}

// All but the recipients and their number.
std::string encode_head(const WaitingMessage& message)
{
    ipc::Writer out;
    out.u8(record_version);
    out.string(message.id);
    out.i64(message.next_us);
    out.i64(message.arrival_us);
    out.u64(message.size);
    out.boolean(message.held);
    out.boolean(message.forced_expire);
    out.boolean(message.warned);
    out.boolean(message.incoming);
    out.boolean(message.flushed);
    out.boolean(message.requeue);
    out.string(message.sender);
    return out.take();
}

std::string encode(const WaitingMessage& message)
{
    ipc::Writer out;
    out.u32(static_cast<uint32_t>(message.recipients.size()));
    for (const WaitingRecipient& recipient : message.recipients) {
        out.u32(recipient.index);
        out.string(recipient.address);
        out.string(recipient.original);
        out.string(recipient.dsn);
        out.string(recipient.reason);
    }
    return encode_head(message) + out.bytes();
}

// All but the recipients, of which `count` follow.
std::optional<WaitingMessage> decode_head(uint64_t number, ipc::Reader& in, uint32_t& count)
{
    if (in.u8() != record_version)
        return std::nullopt;
    WaitingMessage message;
    message.number = number;
    message.id = in.string();
    message.next_us = in.i64();
    message.arrival_us = in.i64();
    message.size = in.u64();
    message.held = in.boolean();
    message.forced_expire = in.boolean();
    message.warned = in.boolean();
    message.incoming = in.boolean();
    message.flushed = in.boolean();
    message.requeue = in.boolean();
    message.sender = in.string();
    count = in.u32();
    return in.ok() ? std::optional(std::move(message)) : std::nullopt;
}

WaitingRecipient decode_recipient(ipc::Reader& in)
{
    WaitingRecipient recipient;
    recipient.index = in.u32();
    recipient.address = in.string();
    recipient.original = in.string();
    recipient.dsn = in.string();
    recipient.reason = in.string();
    return recipient;
}

std::optional<WaitingMessage> decode(uint64_t number, std::string_view bytes)
{
    ipc::Reader in(bytes);
    uint32_t count = 0;
    auto message = decode_head(number, in, count);
    for (uint32_t i = 0; message && i < count && in.ok(); ++i)
        message->recipients.push_back(decode_recipient(in));
    return in.ok_and_finished() ? std::move(message) : std::nullopt;
}

// The piece at the cursor, and the cursor moved behind it; false when the record is unreadable.
bool decode_piece(uint64_t number, std::string_view bytes, size_t budget, IndexCursor& cursor, WaitingPiece& piece)
{
    ipc::Reader head(bytes);
    uint32_t count = 0;
    auto message = decode_head(number, head, count);
    if (!message || (cursor.within && cursor.id != message->id))
        return false;
    const bool was_here = cursor.within && cursor.record_size == bytes.size();
    ipc::Reader in(bytes.substr(was_here ? cursor.offset : bytes.size() - head.remaining()));
    for (uint32_t i = 0; cursor.within && !was_here && i < cursor.recipients_read && in.ok(); ++i)
        decode_recipient(in); // written anew since
    piece = WaitingPiece();
    piece.message = std::move(*message);
    piece.continues = cursor.within;
    uint32_t read = cursor.within ? cursor.recipients_read : 0;
    const size_t enough = in.remaining() > budget ? in.remaining() - budget : 0;
    for (; read < count && in.ok() && (in.remaining() > enough || piece.message.recipients.empty()); ++read)
        piece.message.recipients.push_back(decode_recipient(in));
    if (!in.ok())
        return false;
    piece.more = read < count;
    cursor.within = piece.more;
    cursor.id = piece.message.id;
    cursor.recipients_read = read;
    cursor.offset = bytes.size() - in.remaining();
    cursor.record_size = bytes.size();
    return true;
}

std::string this_boot()
{
    auto id = read_file("/proc/sys/kernel/random/boot_id", 100);
    return id ? *id : std::string();
}

// LMDB maps its file and trusts its length: a file cut short would end the process with SIGBUS.
bool long_enough(MDB_env* environment, const std::string& path)
{
    MDB_envinfo info;
    MDB_stat shape;
    struct stat file;
    if (mdb_env_info(environment, &info) != 0 || mdb_env_stat(environment, &shape) != 0 || stat(path.c_str(), &file) != 0)
        return false;
    return static_cast<size_t>(file.st_size) >= (info.me_last_pgno + 1) * shape.ms_psize;
}

} // namespace

struct WaitingIndex::Impl {
    Impl(Loop& its_loop, std::string its_path) : loop(its_loop), path(std::move(its_path)) {}

    Loop& loop;
    std::string path;
    lmdb::Environment environment;
    MDB_dbi records = 0; // number -> record
    MDB_dbi order = 0;   // (next time, number) -> nothing
    MDB_dbi facts = 0;   // "boot", "clean", "version"
    State state = State::Fresh;
    lmdb::Transaction transaction; // of this loop turn; never seen by a coroutine
    size_t map_size = first_map_size;
    // What LMDB would not take (disk full): tried all the same, without a record for mailq.
    std::map<uint64_t, int64_t> unrecorded;
    std::map<uint64_t, int64_t> uncommitted;
    // Owners: this, and the functions posted to the loop, which do nothing once it is gone.
    std::shared_ptr<Impl*> self = std::make_shared<Impl*>(this);

    Result<void> open_file();
    Result<void> open_tables();
    MDB_txn* begin();
    void commit();
    void grow_when_near_full();
    void put_fact(std::string_view name, std::string_view value);
    std::string fact(std::string_view name);
    bool store(MDB_dbi table, std::string_view key, std::string_view value);
    void remove(MDB_dbi table, std::string_view key);
    std::optional<std::string_view> find(MDB_dbi table, std::string_view key);
    void leave_order(uint64_t number);
    void put(const WaitingMessage& message, std::string_view record);
    template <class Use>
    void walk(uint64_t after, Use use); // until use(number, record) is false
    void refused(uint64_t number, int64_t next_us, int code);
};

Result<void> WaitingIndex::Impl::open_file()
{
    MDB_env* raw = nullptr;
    if (const int code = mdb_env_create(&raw); code != 0)
        return Error(ErrorKind::Temporary, cat("create LMDB environment: ", mdb_strerror(code)));
    environment.reset(raw);
    mdb_env_set_maxdbs(raw, 4);
    mdb_env_set_mapsize(raw, map_size);
    // One process and one thread use it, so no lock file; a cache needs no sync.
    const unsigned flags = MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOLOCK | MDB_NORDAHEAD | MDB_NOTLS;
    if (const int code = mdb_env_open(raw, path.c_str(), flags, 0600); code != 0)
        return Error(ErrorKind::Corrupt, cat("open ", path, ": ", mdb_strerror(code)));
    if (!long_enough(raw, path))
        return Error(ErrorKind::Corrupt, cat(path, " is cut short"));
    MDB_envinfo info;
    mdb_env_info(raw, &info);
    map_size = info.me_mapsize;
    return open_tables();
}

Result<void> WaitingIndex::Impl::open_tables()
{
    MDB_txn* txn = begin();
    if (txn == nullptr)
        return Error(ErrorKind::Corrupt, cat("cannot write to ", path));
    for (auto [name, table] : {std::pair("records", &records), std::pair("order", &order), std::pair("facts", &facts)})
        if (const int code = mdb_dbi_open(txn, name, MDB_CREATE, table); code != 0)
            return Error(ErrorKind::Corrupt, cat("open ", name, " in ", path, ": ", mdb_strerror(code)));
    const std::string boot = this_boot();
    const bool clean = fact("clean") == "yes";
    const std::string version = std::to_string(record_version);
    if (!fact("boot").empty() && fact("version") != version)
        return Error(ErrorKind::Corrupt, cat(path, " is of another version"));
    if (clean)
        state = State::Clean;
    else if (!fact("boot").empty()) {
        if (fact("boot") != boot)
            return Error(ErrorKind::Corrupt, cat(path, " was not closed before the machine stopped"));
        state = State::Doubted;
    }
    put_fact("boot", boot);
    put_fact("version", version);
    put_fact("clean", "no");
    commit();
    return Result<void>();
}

Result<std::unique_ptr<WaitingIndex>> WaitingIndex::open(Loop& loop, const std::string& directory)
{
    std::unique_ptr<WaitingIndex> index(new WaitingIndex);
    const std::string path = cat(directory, "/", file_name);
    index->impl_ = std::make_unique<Impl>(loop, path);
    auto opened = index->impl_->open_file();
    if (opened)
        return index;
    if (opened.error().kind() != ErrorKind::Corrupt)
        return std::move(opened.error());
    log::warning(opened.error().full_text(), "; making it anew from the queue files");
    index->impl_ = std::make_unique<Impl>(loop, path);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT)
        return Error::system(cat("remove ", path), errno);
    RETURN_IF_ERROR(index->impl_->open_file());
    return index;
}

WaitingIndex::WaitingIndex() = default;

WaitingIndex::~WaitingIndex()
{
    if (!impl_)
        return;
    impl_->commit();
    *impl_->self = nullptr;
}

WaitingIndex::State WaitingIndex::state() const
{
    return impl_->state;
}

void WaitingIndex::close_in_order()
{
    impl_->put_fact("clean", impl_->unrecorded.empty() ? "yes" : "no");
    impl_->commit();
    mdb_env_sync(impl_->environment.get(), 1);
}

MDB_txn* WaitingIndex::Impl::begin()
{
    if (transaction)
        return transaction.get();
    grow_when_near_full();
    MDB_txn* raw = nullptr;
    if (mdb_txn_begin(environment.get(), nullptr, 0, &raw) != 0)
        return nullptr;
    transaction.reset(raw);
    loop.post([weak = self] {
        if (*weak != nullptr)
            (*weak)->commit();
    });
    return raw;
}

void WaitingIndex::Impl::commit()
{
    if (!transaction)
        return;
    const int code = mdb_txn_commit(transaction.release());
    if (code != 0) {
        log::error("commit to ", path, ": ", mdb_strerror(code), "; its messages are kept in mind");
        unrecorded.merge(uncommitted);
    }
    uncommitted.clear();
}

void WaitingIndex::Impl::grow_when_near_full()
{
    MDB_envinfo info;
    MDB_stat shape;
    mdb_env_info(environment.get(), &info);
    mdb_env_stat(environment.get(), &shape);
    if ((info.me_last_pgno + 1) * shape.ms_psize < map_size / 4 * 3)
        return;
    if (mdb_env_set_mapsize(environment.get(), map_size * 2) == 0)
        map_size *= 2;
}

bool WaitingIndex::Impl::store(MDB_dbi table, std::string_view key, std::string_view value)
{
    MDB_txn* txn = begin();
    MDB_val key_val = lmdb::to_val(key);
    MDB_val value_val = lmdb::to_val(value);
    return txn != nullptr && mdb_put(txn, table, &key_val, &value_val, 0) == 0;
}

void WaitingIndex::Impl::remove(MDB_dbi table, std::string_view key)
{
    MDB_txn* txn = begin();
    MDB_val key_val = lmdb::to_val(key);
    if (txn != nullptr)
        mdb_del(txn, table, &key_val, nullptr);
}

std::optional<std::string_view> WaitingIndex::Impl::find(MDB_dbi table, std::string_view key)
{
    MDB_txn* txn = begin();
    MDB_val key_val = lmdb::to_val(key);
    MDB_val value;
    if (txn == nullptr || mdb_get(txn, table, &key_val, &value) != 0)
        return std::nullopt;
    return lmdb::to_text(value);
}

void WaitingIndex::Impl::put_fact(std::string_view name, std::string_view value)
{
    store(facts, name, value);
}

std::string WaitingIndex::Impl::fact(std::string_view name)
{
    return std::string(find(facts, name).value_or(std::string_view()));
}

void WaitingIndex::Impl::put(const WaitingMessage& message, std::string_view record)
{
    leave_order(message.number);
    unrecorded.erase(message.number);
    const bool in_order = message.held || store(order, due_key(message), "");
    if (!in_order || !store(records, number_key(message.number), record)) {
        log::error(message.id, ": cannot be noted in ", path, "; it is kept in mind");
        if (!message.held)
            unrecorded[message.number] = message.next_us;
    } else if (!message.held) {
        uncommitted[message.number] = message.next_us;
    }
}

void WaitingIndex::put(const WaitingMessage& message)
{
    impl_->put(message, encode(message));
}

void WaitingIndex::put_head(const WaitingMessage& message)
{
    std::string record = encode_head(message);
    const auto old = impl_->find(impl_->records, number_key(message.number));
    if (!old)
        return;
    ipc::Reader in(*old);
    uint32_t count = 0;
    if (!decode_head(message.number, in, count))
        return;
    record.append(old->substr(old->size() - in.remaining() - sizeof count)); // with their number
    impl_->put(message, record);
}

std::optional<WaitingMessage> WaitingIndex::get(uint64_t number)
{
    const auto bytes = impl_->find(impl_->records, number_key(number));
    return bytes ? decode(number, *bytes) : std::nullopt;
}

std::optional<WaitingMessage> WaitingIndex::head(uint64_t number)
{
    const auto bytes = impl_->find(impl_->records, number_key(number));
    if (!bytes)
        return std::nullopt;
    ipc::Reader in(*bytes);
    uint32_t count = 0;
    return decode_head(number, in, count);
}

void WaitingIndex::Impl::leave_order(uint64_t number)
{
    const auto bytes = find(records, number_key(number));
    if (!bytes)
        return;
    ipc::Reader in(*bytes);
    uint32_t count = 0;
    if (const auto old = decode_head(number, in, count))
        remove(order, due_key(*old));
}

void WaitingIndex::erase(uint64_t number)
{
    activate(number);
    impl_->remove(impl_->records, number_key(number));
}

void WaitingIndex::keep_in_mind(uint64_t number, int64_t next_us)
{
    impl_->unrecorded[number] = next_us;
}

void WaitingIndex::activate(uint64_t number)
{
    impl_->leave_order(number);
    impl_->unrecorded.erase(number);
    impl_->uncommitted.erase(number);
}

std::vector<uint64_t> WaitingIndex::due(int64_t now_us, size_t limit, const std::function<bool(uint64_t)>& taken)
{
    std::vector<uint64_t> numbers;
    const auto add = [&](uint64_t number) {
        numbers.push_back(number);
        if (taken && taken(number))
            ++limit;
    };
    for (const auto& [number, next_us] : impl_->unrecorded)
        if (next_us <= now_us && numbers.size() < limit)
            add(number);
    MDB_txn* txn = impl_->begin();
    MDB_cursor* raw = nullptr;
    if (txn == nullptr || mdb_cursor_open(txn, impl_->order, &raw) != 0)
        return numbers;
    const lmdb::Cursor cursor(raw);
    MDB_val key;
    MDB_val value;
    for (int code = mdb_cursor_get(raw, &key, &value, MDB_FIRST); code == 0 && numbers.size() < limit;
         code = mdb_cursor_get(raw, &key, &value, MDB_NEXT)) {
        const std::string_view bytes = lmdb::to_text(key);
        if (bytes.size() != 16 || get_big_endian(bytes) > static_cast<uint64_t>(now_us))
            break;
        add(get_big_endian(bytes.substr(8)));
    }
    return numbers;
}

int64_t WaitingIndex::first_due_us()
{
    int64_t first = INT64_MAX;
    for (const auto& [number, next_us] : impl_->unrecorded)
        first = next_us < first ? next_us : first;
    MDB_txn* txn = impl_->begin();
    MDB_cursor* raw = nullptr;
    if (txn == nullptr || mdb_cursor_open(txn, impl_->order, &raw) != 0)
        return first;
    const lmdb::Cursor cursor(raw);
    MDB_val key;
    MDB_val value;
    if (mdb_cursor_get(raw, &key, &value, MDB_FIRST) != 0)
        return first;
    const auto ordered = static_cast<int64_t>(get_big_endian(lmdb::to_text(key)));
    return ordered < first ? ordered : first;
}

template <class Use>
void WaitingIndex::Impl::walk(uint64_t after, Use use)
{
    MDB_txn* txn = begin();
    MDB_cursor* raw = nullptr;
    if (txn == nullptr || mdb_cursor_open(txn, records, &raw) != 0)
        return;
    const lmdb::Cursor cursor(raw);
    const std::string from = number_key(after + 1);
    MDB_val key = lmdb::to_val(from);
    MDB_val value;
    for (int code = mdb_cursor_get(raw, &key, &value, MDB_SET_RANGE); code == 0;
         code = mdb_cursor_get(raw, &key, &value, MDB_NEXT))
        if (!use(get_big_endian(lmdb::to_text(key)), lmdb::to_text(value)))
            return;
}

std::vector<WaitingMessage> WaitingIndex::list(uint64_t after, size_t limit)
{
    std::vector<WaitingMessage> messages;
    size_t bytes = 0;
    impl_->walk(after, [&](uint64_t number, std::string_view record) {
        if (auto message = decode(number, record))
            messages.push_back(std::move(*message));
        bytes += record.size();
        return messages.empty() || (messages.size() < limit && bytes < list_bytes);
    });
    return messages;
}

std::vector<WaitingMessage> WaitingIndex::heads(uint64_t after, size_t limit)
{
    std::vector<WaitingMessage> messages;
    impl_->walk(after, [&](uint64_t number, std::string_view record) {
        ipc::Reader in(record);
        uint32_t count = 0;
        if (auto message = decode_head(number, in, count))
            messages.push_back(std::move(*message));
        return messages.size() < limit;
    });
    return messages;
}

bool WaitingIndex::next_piece(IndexCursor& cursor, size_t bytes, WaitingPiece& piece)
{
    if (cursor.within) {
        const auto record = impl_->find(impl_->records, number_key(cursor.number));
        if (record && decode_piece(cursor.number, *record, bytes, cursor, piece))
            return true;
        piece = WaitingPiece();
        piece.message.number = cursor.number;
        piece.message.id = cursor.id;
        piece.continues = true;
        cursor.within = false;
        return true;
    }
    bool found = false;
    impl_->walk(cursor.number, [&](uint64_t number, std::string_view record) {
        cursor.number = number;
        found = decode_piece(number, record, bytes, cursor, piece);
        return !found;
    });
    return found;
}

uint64_t WaitingIndex::count()
{
    MDB_txn* txn = impl_->begin();
    MDB_stat shape;
    if (txn == nullptr || mdb_stat(txn, impl_->records, &shape) != 0)
        return 0;
    return shape.ms_entries;
}

} // namespace posthouse::qmgr
