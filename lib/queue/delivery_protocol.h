// Messages on private/<transport> between qmgr (which connects) and a delivery agent (smtp, local, ...).
// One connection for each agent process; many deliveries at a time on it. Decoding is strict.
//
//   agent -> qmgr  AgentHello        first
//   qmgr -> agent  DeliveryRequest   with a read-only descriptor of the queue file
//   agent -> qmgr  RecipientOutcome  as soon as it is known (optional: may wait for DeliveryDone)
//   agent -> qmgr  DeliveryDone      the rest of the outcomes, and what was wrong with the site as a whole
//   qmgr -> agent  Cancel            stop this delivery when that is possible without a duplicate;
//                                    it still ends with DeliveryDone
//   agent -> qmgr  AgentLeaving      asks for no more work. What is sent before qmgr reads this is done as well;
//                                    qmgr ends the connection when nothing of it is left, and goes to another
//                                    process meanwhile
//
// A recipient without an outcome at DeliveryDone, or when the connection ends, is deferred by qmgr.
#pragma once

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "lib/mail/envelope.h"
#include "lib/queue/content_info.h"

#include <cstdint>
#include <string>
#include <vector>

namespace posthouse::ipc {
class Channel;
class Frame;
} // namespace posthouse::ipc

namespace posthouse::queue {

inline constexpr uint16_t delivery_protocol_version = 1;
inline constexpr size_t most_recipients_in_delivery = 100000;
// Of the recipients of one request, about (qmgr makes another delivery of the rest): a frame has room for more.
inline constexpr size_t most_bytes_in_delivery = 2 << 20;

class AgentHello {
public:
    static constexpr uint16_t type = 0x0201;
    AgentHello() = default;
    AgentHello(uint32_t its_pid, uint32_t at_most) : pid(its_pid), max_concurrent(at_most) {}

    uint32_t pid = 0;
    uint32_t max_concurrent = 0; // deliveries at a time on this connection; at least 1

    ipc::Frame to_frame() const;
    static Result<AgentHello> from_frame(const ipc::Frame& frame);
};

class DeliveryRequest {
public:
    static constexpr uint16_t type = 0x0202;
    DeliveryRequest() = default;

    uint64_t serial = 0;   // qmgr's name for this delivery, never used twice on a connection
    std::string transport; // "smtp"
    std::string nexthop;   // "example.com", "[192.0.2.1]:2525"
    // The message's envelope; its recipients are only those of this delivery.
    mail::Envelope envelope;
    std::vector<uint32_t> indexes; // of these recipients in the queue file, in the same order
    ContentInfo content;
    int64_t active_us = 0; // wall clock: when qmgr first saw the message in this turn
    int64_t start_us = 0;  // wall clock: when qmgr sent this request
    bool expired_soon = false; // the last attempt: say so in no log, but use every host
    bool soft_bounce = false;  // qmgr keeps what is refused for good: only the log line shows it
    UniqueFd file;             // read-only; content is at content.offset

    const std::string& id() const { return envelope.id; }

    ipc::Frame to_frame() &&; // takes the descriptor
    static Result<DeliveryRequest> from_frame(ipc::Frame&& frame);
};

enum class DeliveryStatus : uint8_t { Delivered = 1, Deferred = 2, Failed = 3 };
// For DSNs (RFC 3464 2.3.3) and the log.
enum class DeliveryAction : uint8_t { None = 0, Delivered = 1, Relayed = 2, Expanded = 3 };

class RecipientOutcome {
public:
    static constexpr uint16_t type = 0x0203;
    RecipientOutcome() = default;
    RecipientOutcome(uint64_t of_serial, uint32_t of_index, DeliveryStatus what, std::string the_dsn, std::string why);

    uint64_t serial = 0;
    uint32_t index = 0; // in the queue file
    DeliveryStatus status = DeliveryStatus::Deferred;
    DeliveryAction action = DeliveryAction::None;
    bool dsn_passed_on = false; // the next host takes over the sender's NOTIFY=SUCCESS wish (RFC 3461 5.2.1)
    std::string dsn;            // "2.0.0"
    std::string text;           // the log's (text)
    std::string relay = "none"; // "mx.example.com[192.0.2.1]:25", "local", "none"
    std::string remote_mta;     // "dns; mx.example.com", may be empty
    std::string diagnostic;     // "smtp; 550 5.1.1 ...", may be empty
    int64_t connect_us = 0;     // delays=a/b/c/d: c, connection set-up with name lookup, HELO and TLS
    int64_t transmit_us = 0;    // d, the transmission itself

    ipc::Frame to_frame() const;
    static Result<RecipientOutcome> from_frame(const ipc::Frame& frame);
};

enum class SiteStatus : uint8_t {
    Ok = 1,         // talked to, whatever it said about the recipients
    SiteFailed = 2, // could not be talked to: counts against the destination
    AgentBusy = 3,  // open recipients are given back: no descriptors, no memory, or a stop. Not the site's fault
};

class DeliveryDone {
public:
    static constexpr uint16_t type = 0x0204;
    DeliveryDone() = default;
    explicit DeliveryDone(uint64_t of_serial) : serial(of_serial) {}
    static DeliveryDone busy(uint64_t of_serial) // not even tried
    {
        DeliveryDone done(of_serial);
        done.site = SiteStatus::AgentBusy;
        return done;
    }

    uint64_t serial = 0;
    SiteStatus site = SiteStatus::Ok;
    std::string site_dsn;  // when SiteFailed
    std::string site_text;
    std::vector<RecipientOutcome> outcomes; // those not sent before; each with this serial

    ipc::Frame to_frame() const;
    static Result<DeliveryDone> from_frame(const ipc::Frame& frame);
};

// How an agent sends it: many outcomes go ahead in frames of their own, so that no frame is too large. What
// cannot be sent ends the connection, and qmgr tries again what it has not heard of.
void post_done(ipc::Channel& channel, DeliveryDone done);

class DeliveryCancel {
public:
    static constexpr uint16_t type = 0x0205;
    DeliveryCancel() = default;
    explicit DeliveryCancel(uint64_t of_serial) : serial(of_serial) {}

    uint64_t serial = 0;

    ipc::Frame to_frame() const;
    static Result<DeliveryCancel> from_frame(const ipc::Frame& frame);
};

class AgentLeaving {
public:
    static constexpr uint16_t type = 0x0206;
    AgentLeaving() = default;

    ipc::Frame to_frame() const;
    static Result<AgentLeaving> from_frame(const ipc::Frame& frame);
};

} // namespace posthouse::queue
