// Messages on public/qmgr between the operator's commands (mailq, postqueue, postsuper, posthouse) and
// qmgr. A request is answered by frames that end with ControlEnd. Decoding is strict.
//
//   List    -> ListEntry... ControlEnd      a message with many recipients comes in several entries
//   Flush   -> ControlEnd
//   Act     -> ControlEnd with counts
//   Status  -> ControlEnd with lines
#pragma once

#include "lib/base/result.h"

#include <cstdint>
#include <string>
#include <vector>

namespace posthouse::ipc {
class Frame;
}

namespace posthouse::queue {

// A set of queues as people name them ("ALL:deferred").
enum QueueSet : uint8_t {
    NoQueue = 0,
    Incoming = 1, // committed, not yet looked at
    Active = 2,   // being delivered or about to be
    Deferred = 4, // waiting for its next time
    Hold = 8,
    Corrupt = 16, // set aside for a person
    AllQueues = 15, // what mail commands mean by ALL: not corrupt
    Maildrop = 32,  // not in the queue yet: only listed
};
// "deferred" -> Deferred; "" -> AllQueues; NoQueue when unknown. "maildrop" is not qmgr's to act on.
uint8_t queue_set_from(std::string_view name);
std::string_view queue_name(uint8_t one_queue);

class ControlList {
public:
    static constexpr uint16_t type = 0x0301;
    ControlList() = default;

    uint8_t queues = AllQueues | Maildrop;
    std::string id;   // only this message, when not empty
    std::string site; // only messages with a recipient in this domain, when not empty

    ipc::Frame to_frame() const;
    static Result<ControlList> from_frame(const ipc::Frame& frame);
};

class ListedRecipient {
public:
    ListedRecipient() = default;
    std::string address;
    std::string original;
    std::string reason; // why it waits; empty when it does not
    std::string bounce_reason;

    size_t bytes() const { return 16 + address.size() + original.size() + reason.size() + bounce_reason.size(); }
};

// Bytes of recipients in one ListEntry, about: far below what a frame may have, and little enough work that
// neither side holds up anything else with it.
inline constexpr size_t list_piece_bytes = 256 * 1024;

// A message, or a piece of one that has many recipients. The pieces of a message follow each other: all but
// the first have `continues`, all but the last `more`, and each has all that is not about recipients.
class ListEntry {
public:
    static constexpr uint16_t type = 0x0302;
    ListEntry() = default;

    std::string id;
    uint8_t queue = NoQueue; // one of QueueSet
    int64_t arrival_us = 0;
    uint64_t size = 0;
    bool forced_expire = false;
    std::string sender;
    int64_t next_us = 0; // wall clock of the next attempt, 0 when not deferred
    bool continues = false;
    bool more = false;
    std::vector<ListedRecipient> recipients; // those not done

    ipc::Frame to_frame() const;
    static Result<ListEntry> from_frame(const ipc::Frame& frame);
};

enum class FlushWhat : uint8_t { All = 1, Site = 2, Id = 3 };

class ControlFlush {
public:
    static constexpr uint16_t type = 0x0303;
    ControlFlush() = default;
    ControlFlush(FlushWhat which, std::string the_name) : what(which), name(std::move(the_name)) {}

    FlushWhat what = FlushWhat::All;
    std::string name; // site or id

    ipc::Frame to_frame() const;
    static Result<ControlFlush> from_frame(const ipc::Frame& frame);
};

enum class Action : uint8_t {
    Hold = 1,
    Release = 2,
    Delete = 3,
    Requeue = 4,      // under a new id, addresses rewritten and routed anew
    Expire = 5,       // bounce at the next attempt
    ForceExpire = 6,  // expire, and release from hold
};

class ControlAct {
public:
    static constexpr uint16_t type = 0x0304;
    ControlAct() = default;

    Action action = Action::Hold;
    uint8_t queues = AllQueues;   // only messages in these
    bool all = false;             // every message in `queues`; `ids` is empty then
    std::vector<std::string> ids; // at most 10000 in a frame

    ipc::Frame to_frame() const;
    static Result<ControlAct> from_frame(const ipc::Frame& frame);
};

class ControlStatus {
public:
    static constexpr uint16_t type = 0x0305;
    ControlStatus() = default;

    ipc::Frame to_frame() const;
    static Result<ControlStatus> from_frame(const ipc::Frame& frame);
};

class ControlEnd {
public:
    static constexpr uint16_t type = 0x0306;
    ControlEnd() = default;

    bool ok = true;
    bool denied = false;             // the user may not; `ok` is false then
    std::string text;                // what went wrong
    uint64_t count = 0;              // entries listed, messages acted on
    std::vector<std::string> missed; // Act: ids without a message
    std::vector<std::string> lines;  // Status: "name=value"

    ipc::Frame to_frame() const;
    static Result<ControlEnd> from_frame(const ipc::Frame& frame);
};

} // namespace posthouse::queue
