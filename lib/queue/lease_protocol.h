// Messages on private/qmgr between those who put mail into the queue ("holder": smtpd, pickup, local) and
// qmgr. Versioned by Hello; decoding is strict: a wrong type, length or value is an Error and the user
// closes the connection.
//
//   holder -> qmgr  Hello          first; again after each reconnect, with the leases that it still holds
//   holder -> qmgr  LeaseRequest   so many slots, please
//   qmgr -> holder  Lease          the slots, with one locked O_RDWR descriptor each
//   qmgr -> holder  Refused        none: disk full, stopping
//   holder -> qmgr  Committed      these messages are durable (several in one frame); not acknowledged
//   holder -> qmgr  Dropped        these leases are given back unused, or broken by a failed sync
//
// After a reconnect the holder also gives back the slots of the last messages that it told of: the qmgr that heard it may
// be dead, and the next one looks into them before all that is old.
//
// When the connection ends qmgr examines every slot that was leased on it.
#pragma once

#include "lib/base/result.h"
#include "lib/mail/envelope.h"
#include "lib/queue/content_info.h"

#include <cstdint>
#include <string>
#include <vector>

namespace posthouse::ipc {
class Frame;
}

namespace posthouse::queue {

inline constexpr uint16_t lease_protocol_version = 1;
inline constexpr size_t most_slots_in_frame = 64; // descriptors in one frame
inline constexpr size_t most_held_leases = 4096;

class LeaseHello {
public:
    static constexpr uint16_t type = 0x0101;
    LeaseHello() = default;

    std::string role;           // "smtpd"
    uint32_t pid = 0;
    std::vector<uint64_t> held; // numbers of leases from an earlier connection

    ipc::Frame to_frame() const;
    static Result<LeaseHello> from_frame(const ipc::Frame& frame);
};

class LeaseRequest {
public:
    static constexpr uint16_t type = 0x0102;
    LeaseRequest() = default;
    explicit LeaseRequest(uint32_t how_many) : count(how_many) {}

    uint32_t count = 0; // 1..most_slots_in_frame

    ipc::Frame to_frame() const;
    static Result<LeaseRequest> from_frame(const ipc::Frame& frame);
};

class LeasedSlot {
public:
    LeasedSlot() = default;
    LeasedSlot(uint64_t its_number, int64_t id_after) : number(its_number), not_before_us(id_after) {}

    uint64_t number = 0;
    int64_t not_before_us = 0; // the next id's time must not be earlier
};

class Lease {
public:
    static constexpr uint16_t type = 0x0103;
    Lease() = default;

    uint64_t slot_size = 0;
    uint64_t free_bytes = 0; // of the queue's file system
    std::vector<LeasedSlot> slots; // the frame carries one descriptor for each, in this order

    ipc::Frame to_frame() const; // without the descriptors: the caller adds them
    static Result<Lease> from_frame(const ipc::Frame& frame); // checks that their number agrees
};

class LeaseRefused {
public:
    static constexpr uint16_t type = 0x0104;
    LeaseRefused() = default;
    LeaseRefused(std::string the_dsn, std::string why) : dsn(std::move(the_dsn)), text(std::move(why)) {}

    std::string dsn; // 4.3.1, 4.3.2
    std::string text;

    ipc::Frame to_frame() const;
    static Result<LeaseRefused> from_frame(const ipc::Frame& frame);
};

class CommittedMessage {
public:
    CommittedMessage() = default;

    uint64_t number = 0;
    mail::Envelope envelope; // with id and arrival
    ContentInfo content;
    uint64_t states_offset = 0; // in the file
};

class Committed {
public:
    static constexpr uint16_t type = 0x0105;
    Committed() = default;

    std::vector<CommittedMessage> messages; // 1..most_slots_in_frame

    ipc::Frame to_frame() const;
    static Result<Committed> from_frame(const ipc::Frame& frame);
};

class DroppedLease {
public:
    DroppedLease() = default;
    DroppedLease(uint64_t its_number, bool is_broken) : number(its_number), broken(is_broken) {}

    uint64_t number = 0;
    bool broken = false; // a write or sync failed: never use this file again
};

class Dropped {
public:
    static constexpr uint16_t type = 0x0106;
    Dropped() = default;

    std::vector<DroppedLease> leases;

    ipc::Frame to_frame() const;
    static Result<Dropped> from_frame(const ipc::Frame& frame);
};

} // namespace posthouse::queue
