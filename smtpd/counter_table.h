// CounterTable: counts by client in memory that all processes of one service share (service::Context::shared_memory),
// so that limits hold for the service, not for each process, and outlive a process.
//
// Its size is fixed, whoever connects: a client has a place in one of eight entries that its hash names, and takes the
// one of them that was begun longest ago among those without a connection. Without any such entry a client is not
// counted. The hash has a secret key.
//
// Processes die at any moment. Each proves that it lives by a lock on a byte of the memory's file, which the kernel
// takes away with the process; each connection that is counted says whose it is. When the lock of the table, or a
// connection, is found to be a dead process's, the connections are counted anew from those of the living. A process that
// stands still with the table's lock is waited for a few milliseconds; then clients are not counted for a while.
//
// Nothing in the memory is believed to be in range: there are no pointers in it, and no index is used unchecked.
// Calls take some tenths of a microsecond. One object for each process.
#pragma once

#include "lib/base/time.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace posthouse::smtpd {

class CounterTable {
public:
    enum class Event : uint8_t { Connection, Message, Recipient, TlsSession, Auth };
    static constexpr size_t event_count = 5;

    // A connection that is counted.
    struct Place {
        uint32_t entry = 0;
        uint32_t visit = 0;
    };

    // In the memory behind `fd` (an empty or earlier used memfd; it stays the caller's and open). When there is none,
    // or it cannot be used: memory of this process alone, with a warning when that is a surprise.
    static std::unique_ptr<CounterTable> attach(int fd);
    ~CounterTable(); // after all places were left
    CounterTable(const CounterTable&) = delete;
    CounterTable& operator=(const CounterTable&) = delete;

    // A client connects. Nothing when it cannot be counted.
    std::optional<Place> enter(std::string_view client, Instant now, Duration unit);
    void leave(Place place);

    // Counts one more. The number in this unit of time with this one; 0 when it cannot be told.
    uint32_t add(Place place, Event event, Instant now, Duration unit);
    uint32_t count(Place place, Event event, Instant now, Duration unit);
    // Failed logins without a unit of time between one and the next.
    uint32_t add_failure(Place place, Instant now, Duration unit);
    uint32_t connections(Place place);
    // Takes away what dead processes have left. At most once a second, else it does nothing.
    void forget_dead(Instant now);

    bool shared() const { return fd_ >= 0; }
    size_t clients(); // entries in use, for tests: takes long

private:
    struct Memory;
    struct Entry;
    class Lock;
    CounterTable(Memory* memory, int fd, uint32_t self);
    static Memory* map_shared(int fd);
    static std::optional<uint32_t> claim(int fd);
    bool lock();
    void unlock();
    bool alive(uint32_t process) const;
    void recount();
    Entry* find(std::string_view client, Instant now);
    Entry* entry_at(Place place);

    Memory* memory_;
    int fd_;        // -1: of this process alone
    uint32_t self_; // this process's number
    Instant stuck_until_;
    Instant looked_at_;
};

} // namespace posthouse::smtpd
