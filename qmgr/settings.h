// What main.cf and master.cf say to qmgr, copied once at start: no other file here looks a name up.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/config/config.h"
#include "lib/queue/delivery_protocol.h"
#include "lib/queue/slot_pool.h"
#include "qmgr/concurrency.h"
#include "qmgr/retry_schedule.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace posthouse::qmgr {

// One transport: an entry of master.cf, or only a name that a route uses.
class TransportSettings {
public:
    TransportSettings() = default;
    // Error, Retry and Discard need no agent: the nexthop is the text.
    enum class Kind : unsigned char { Agent, Error, Retry, Discard };

    std::string name;
    Kind kind = Kind::Agent;
    std::string socket_path;
    ConcurrencyLimits concurrency;
    size_t recipient_limit = 50;  // in one delivery
    Duration transport_rate_delay; // between the starts of two deliveries
    Duration retry_time = Duration::seconds(60);
    size_t process_limit = 1; // connections to agents
};

// Who is told, besides the sender.
class Notices {
public:
    Notices() = default;
    bool bounce = false;        // notify_classes: postmaster hears of each bounce,
    bool double_bounce = false; // of each bounce that could not be delivered,
    bool delay = false;         // of each delay warning
    bool redact_requiretls = true; // requiretls_redact_dsn
    std::string bounce_recipient;
    std::string double_bounce_recipient;
    std::string delay_recipient;
    std::string double_bounce_sender; // complete address
    uint64_t size_limit = 50000;      // bounce_size_limit: of the returned content
};

class Settings {
public:
    Settings() = default;
    static Result<Settings> from_config(const config::Config& config);

    // By the rules of the transport's name, whether or not master.cf has it.
    TransportSettings transport(const std::string& name) const;

    size_t active_limit = 20000;
    size_t recipient_limit = 20000;
    RetrySchedule retry;
    std::vector<std::string> defer_transports;
    std::string default_filter_nexthop; // "": the recipient's domain
    bool soft_bounce = false;
    Notices notices;
    queue::SlotPoolLimits pool;
    std::string queue_directory;
    std::string data_directory;
    std::string hostname;  // $myhostname
    std::string origin;    // $myorigin
    std::string mail_name; // $mail_name

private:
    const config::Config* config_ = nullptr; // outlives the settings
    class Entry { // of master.cf
    public:
        Entry() = default;
        std::string program;
        int process_limit = -1; // -1: default, 0: none
    };
    std::map<std::string, Entry> entries_; // UNIX services by name
};

} // namespace posthouse::qmgr
