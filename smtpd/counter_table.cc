// Counters in shared memory: see counter_table.h.
#include "smtpd/counter_table.h"

#include "lib/base/random.h"
#include "lib/base/sip_hash.h"
#include "lib/log/log.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace posthouse::smtpd {

namespace {

constexpr uint64_t layout = 0x5048434f554e5401; // another when anything below changes
constexpr uint32_t ways = 8;
constexpr uint32_t sets = 8192;
constexpr uint32_t most_visits = 65536;
constexpr uint32_t most_processes = 256;
constexpr uint32_t inherited = uint32_t(1) << 31; // a bit of Memory::holder
constexpr int spins = 200;
constexpr int waits = 40;
constexpr long wait_ns = 50'000;
constexpr Duration stuck_time = Duration::milliseconds(100);
constexpr Duration look_interval = Duration::seconds(1);
// Bytes far behind the end of the memory stand for processes, the last one for making it.
constexpr off_t first_lock = off_t(1) << 40;
constexpr off_t making_lock = first_lock + most_processes;

bool set_lock(int fd, off_t byte, short type)
{
    struct flock lock = {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    return ::fcntl(fd, F_SETLK, &lock) == 0;
}

void nap()
{
    const timespec pause = {0, wait_ns};
    ::nanosleep(&pause, nullptr);
}

} // namespace

struct CounterTable::Entry {
    uint64_t client = 0; // hash; 0: never used
    int64_t begun_ns = 0;
    int64_t failed_ns = 0;
    uint32_t connections = 0;
    uint32_t failures = 0;
    uint32_t events[event_count] = {};

    void begin_window(Instant now, Duration unit)
    {
        if (begun_ns != 0 && now.ns() - begun_ns < unit.ns())
            return;
        std::fill(std::begin(events), std::end(events), 0);
        begun_ns = now.ns();
    }
};

struct CounterTable::Memory {
    struct Visit {
        uint32_t owner; // number of the process and 1; 0: free
        uint32_t link;  // the entry, or the next free one and 1
    };

    uint64_t layout;
    uint64_t secret[2];
    uint32_t holder; // of the lock: number of the process and 1, maybe `inherited`; 0: free; atomic
    uint32_t first_free;
    uint32_t visits_begun; // those behind were never used
    uint8_t processes[most_processes]; // 1: came, and has not left in order
    Entry entries[size_t(sets) * ways];
    Visit visits[most_visits];
};

class CounterTable::Lock {
public:
    explicit Lock(CounterTable& table) : table_(table), held_(table.lock()) {}
    ~Lock()
    {
        if (held_)
            table_.unlock();
    }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    explicit operator bool() const { return held_; }

private:
    CounterTable& table_;
    bool held_;
};

CounterTable::Memory* CounterTable::map_shared(int fd)
{
    int attempts = 0;
    while (!set_lock(fd, making_lock, F_WRLCK)) {
        if (++attempts > 20'000)
            return nullptr;
        nap();
    }
    struct stat status;
    const bool known = ::fstat(fd, &status) == 0;
    const bool fresh = known && status.st_size == 0;
    // Sealed: nobody can cut it off under the feet of the others.
    bool good = known && (!fresh || ::ftruncate(fd, sizeof(Memory)) == 0);
    if (fresh)
        good = good && ::fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
    else
        good = good && status.st_size == sizeof(Memory);
    void* mapped = good ? ::mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
    auto* memory = mapped == MAP_FAILED ? nullptr : static_cast<Memory*>(mapped);
    if (memory && memory->layout == 0) {
        random_bytes(memory->secret, sizeof memory->secret);
        memory->layout = layout;
    } else if (memory && memory->layout != layout) {
        ::munmap(memory, sizeof(Memory));
        memory = nullptr;
    }
    set_lock(fd, making_lock, F_UNLCK);
    return memory;
}

std::optional<uint32_t> CounterTable::claim(int fd)
{
    for (uint32_t process = 0; process < most_processes; ++process)
        if (set_lock(fd, first_lock + process, F_WRLCK))
            return process;
    return std::nullopt;
}

std::unique_ptr<CounterTable> CounterTable::attach(int fd)
{
    Memory* memory = fd < 0 ? nullptr : map_shared(fd);
    const auto self = memory ? claim(fd) : std::nullopt;
    if (self)
        return std::unique_ptr<CounterTable>(new CounterTable(memory, fd, *self));
    if (memory)
        ::munmap(memory, sizeof(Memory));
    if (fd >= 0)
        log::warning("the memory for counting clients cannot be used (it may be of another version, which goes with a "
                     "restart): this process counts its own clients only");
    void* own = ::mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (own == MAP_FAILED)
        log::fatal("out of memory");
    memory = static_cast<Memory*>(own);
    random_bytes(memory->secret, sizeof memory->secret);
    return std::unique_ptr<CounterTable>(new CounterTable(memory, -1, 0));
}

CounterTable::CounterTable(Memory* memory, int fd, uint32_t self) : memory_(memory), fd_(fd), self_(self)
{
    // A process of this number has died with the lock. Somebody else may be taking it from the dead just now.
    uint32_t predecessor = self_ + 1;
    const bool left_locked =
        std::atomic_ref<uint32_t>(memory_->holder).compare_exchange_strong(predecessor, (self_ + 1) | inherited);
    if (left_locked)
        unlock();
    const Lock held(*this);
    if (!held) { // what a predecessor of this number has left counts until there is a recount
        memory_->processes[self_] = 1;
        return;
    }
    bool someone_died = left_locked;
    for (uint32_t process = 0; process < most_processes; ++process)
        someone_died |= memory_->processes[process] != 0 && (process == self_ || !alive(process));
    memory_->processes[self_] = 0;
    if (someone_died)
        recount();
    memory_->processes[self_] = 1;
}

CounterTable::~CounterTable()
{
    {
        const Lock held(*this);
        if (held)
            memory_->processes[self_] = 0;
    }
    if (fd_ >= 0)
        set_lock(fd_, first_lock + self_, F_UNLCK);
    ::munmap(memory_, sizeof(Memory));
}

bool CounterTable::alive(uint32_t process) const
{
    if (process == self_)
        return true;
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = first_lock + process;
    lock.l_len = 1;
    return fd_ >= 0 && process < most_processes && ::fcntl(fd_, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool CounterTable::lock()
{
    const std::atomic_ref<uint32_t> holder(memory_->holder);
    uint32_t seen = 0;
    for (int i = 0; i < spins; ++i, seen = 0)
        if (holder.compare_exchange_weak(seen, self_ + 1, std::memory_order_acquire, std::memory_order_relaxed))
            return true;
    if (Instant::now() < stuck_until_)
        return false;
    for (int i = 0; i < waits; ++i, seen = 0) {
        if (holder.compare_exchange_strong(seen, self_ + 1, std::memory_order_acquire, std::memory_order_relaxed))
            return true;
        if (!alive((seen & ~inherited) - 1) && holder.compare_exchange_strong(seen, self_ + 1, std::memory_order_acquire)) {
            recount();
            return true;
        }
        nap();
    }
    stuck_until_ = Instant::now() + stuck_time;
    return false;
}

void CounterTable::unlock()
{
    std::atomic_ref<uint32_t>(memory_->holder).store(0, std::memory_order_release);
}

// The connections of processes that live, and nothing else.
void CounterTable::recount()
{
    bool lives[most_processes];
    for (uint32_t process = 0; process < most_processes; ++process) {
        lives[process] = memory_->processes[process] != 0 && alive(process);
        memory_->processes[process] = lives[process] ? 1 : 0;
    }
    for (Entry& entry : memory_->entries)
        entry.connections = 0;
    memory_->first_free = 0;
    memory_->visits_begun = std::min(memory_->visits_begun, most_visits);
    for (uint32_t number = 0; number < memory_->visits_begun; ++number) {
        Memory::Visit& visit = memory_->visits[number];
        if (visit.owner - 1 < most_processes && lives[visit.owner - 1] && visit.link < size_t(sets) * ways) {
            ++memory_->entries[visit.link].connections;
        } else {
            visit.owner = 0;
            visit.link = std::exchange(memory_->first_free, number + 1);
        }
    }
}

// The client's entry, a new one when it has none.
CounterTable::Entry* CounterTable::find(std::string_view client, Instant now)
{
    const uint64_t hash = std::max<uint64_t>(1, sip_hash(memory_->secret[0], memory_->secret[1], client));
    Entry* const first = memory_->entries + size_t(hash % sets) * ways;
    Entry* oldest = nullptr;
    for (Entry* entry = first; entry != first + ways; ++entry) {
        if (entry->client == hash)
            return entry;
        if (entry->connections == 0 && (!oldest || entry->begun_ns < oldest->begun_ns))
            oldest = entry;
    }
    if (oldest) {
        *oldest = Entry();
        oldest->begun_ns = now.ns();
        oldest->client = hash;
    }
    return oldest;
}

CounterTable::Entry* CounterTable::entry_at(Place place)
{
    return memory_->entries + std::min<size_t>(place.entry, size_t(sets) * ways - 1);
}

std::optional<CounterTable::Place> CounterTable::enter(std::string_view client, Instant now, Duration unit)
{
    const Lock held(*this);
    if (!held)
        return std::nullopt;
    Place place;
    const bool recycled = memory_->first_free != 0 && memory_->first_free <= most_visits;
    if (!recycled && memory_->visits_begun >= most_visits)
        return std::nullopt;
    Entry* entry = find(client, now);
    if (!entry)
        return std::nullopt;
    place.visit = recycled ? memory_->first_free - 1 : memory_->visits_begun++;
    Memory::Visit& visit = memory_->visits[place.visit];
    if (recycled)
        memory_->first_free = visit.link;
    place.entry = static_cast<uint32_t>(entry - memory_->entries);
    visit.link = place.entry;
    visit.owner = self_ + 1;
    entry->begin_window(now, unit);
    ++entry->connections;
    ++entry->events[static_cast<size_t>(Event::Connection)];
    return place;
}

void CounterTable::leave(Place place)
{
    const Lock held(*this);
    Memory::Visit& visit = memory_->visits[std::min(place.visit, most_visits - 1)];
    // Without the lock: it is not this process's any more, and goes with the next recount.
    const std::atomic_ref<uint32_t> owner(visit.owner);
    if (!held) {
        owner.store(most_processes + 1);
        return;
    }
    if (owner.load() != self_ + 1)
        return;
    Entry* entry = entry_at(place);
    if (entry->connections > 0)
        --entry->connections;
    owner.store(0);
    visit.link = std::exchange(memory_->first_free, place.visit + 1);
}

uint32_t CounterTable::add(Place place, Event event, Instant now, Duration unit)
{
    const Lock held(*this);
    if (!held)
        return 0;
    Entry* entry = entry_at(place);
    entry->begin_window(now, unit);
    return ++entry->events[static_cast<size_t>(event)];
}

uint32_t CounterTable::count(Place place, Event event, Instant now, Duration unit)
{
    const Lock held(*this);
    if (!held)
        return 0;
    Entry* entry = entry_at(place);
    entry->begin_window(now, unit);
    return entry->events[static_cast<size_t>(event)];
}

uint32_t CounterTable::add_failure(Place place, Instant now, Duration unit)
{
    const Lock held(*this);
    if (!held)
        return 1;
    Entry* entry = entry_at(place);
    if (now.ns() - entry->failed_ns >= unit.ns())
        entry->failures = 0;
    entry->failed_ns = now.ns();
    return ++entry->failures;
}

uint32_t CounterTable::connections(Place place)
{
    const Lock held(*this);
    return held ? entry_at(place)->connections : 0;
}

void CounterTable::forget_dead(Instant now)
{
    if (fd_ < 0 || (looked_at_ != Instant() && now - looked_at_ < look_interval))
        return;
    looked_at_ = now;
    const Lock held(*this);
    if (held)
        recount();
}

size_t CounterTable::clients()
{
    const Lock held(*this);
    return static_cast<size_t>(std::count_if(std::begin(memory_->entries), std::end(memory_->entries),
                                             [](const Entry& entry) { return entry.client != 0; }));
}

} // namespace posthouse::smtpd
