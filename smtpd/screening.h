// Screening: whoever connects is looked at before it is greeted, with the names and meanings of Postfix's postscreen: the
// access list, the list of those that passed not long ago, a pause before the greeting in which a client has to be
// silent, and DNS lists by weight. What a client has left to pass it passes in its session (session_screening.cc).
//
// A client that waits costs its socket and a few small coroutine frames: it gets a session when it is greeted.
// One for each process, part of Server. The list of who passed is shared by all processes of the instance.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/event/byte_stream.h"
#include "lib/event/task.h"
#include "lib/table/cache.h"
#include "lib/table/maps.h"
#include "lib/table/match_list.h"
#include "lib/trust/dns_list.h"
#include "smtpd/screened_client.h"
#include "smtpd/screening_access.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace posthouse::config {
class Config;
}
namespace posthouse::net {
class Resolver;
}

namespace posthouse::smtpd {

class EarlyTests;

struct ScreeningSettings {
    explicit ScreeningSettings(const config::Config& config);

    struct Test {
        ScreenAction action = ScreenAction::Ignore;
        Duration ttl;
    };
    const Test& of(ScreenTest test) const { return tests[static_cast<size_t>(test)]; }

    std::string hostname;
    std::string teaser; // "220-text\r\n", or ""
    Duration greet_wait;
    TestSet enabled;
    Test tests[screen_test_count];
    ScreenAction denylist_action;
    int dnsbl_threshold;
    int dnsbl_allow_threshold; // below zero, or 0 for none
    Duration dnsbl_timeout;
    Duration retention; // of a record that does not hold any more
    uint32_t connection_limit;
    size_t waiting_limit;
    uint32_t command_count_limit;
    Duration command_time_limit;
};

class Admission {
public:
    // The connection is over; it may come in and needs no screening any more; it may, and is looked at further.
    static Admission none() { return Admission(false, nullptr); }
    static Admission free() { return Admission(true, nullptr); }
    static Admission watched(std::unique_ptr<ScreenedClient> client) { return Admission(true, std::move(client)); }

    bool admitted;
    std::unique_ptr<ScreenedClient> client; // for the session

private:
    Admission(bool is_admitted, std::unique_ptr<ScreenedClient> its_client)
        : admitted(is_admitted), client(std::move(its_client))
    {
    }
};

class Screening {
public:
    using AskResolver = std::function<net::Resolver&()>;

    static bool wanted(const config::Config& config);
    // Loop, `mynetworks` and what `resolver` gives outlive it.
    static Result<std::unique_ptr<Screening>> open(const config::Config& config, const table::Context& context,
                                                   table::MatchList* mynetworks, AskResolver resolver);
    ~Screening();
    Screening(const Screening&) = delete;
    Screening& operator=(const Screening&) = delete;

    // The table of who passed; without it everybody is new each time. Before privileges drop.
    Result<void> open_cache(const config::Config& config);

    // From the connection to the greeting. `stream` outlives the task.
    Task<Admission> admit(ByteStream& stream, Ends ends);
    // Those who wait hear 421 at once. To be called from the loop.
    void stop();
    bool stale() const;

    // For ScreenedClient and the tests.
    Loop& loop() const { return loop_; }
    const ScreeningSettings& settings() const { return settings_; }
    const std::vector<trust::DnsList>& dns_lists() const { return dns_lists_; }
    net::Resolver& resolver() const { return resolver_(); }
    table::MatchList& forbidden_commands() { return *forbidden_commands_; }
    Task<std::string> public_name(std::string dns_list); // postscreen_dnsbl_reply_map
    std::optional<PassRecord> recall(const net::IpAddress& client, int64_t now);
    void remember(const net::IpAddress& client, const PassRecord& record, int64_t now);
    size_t waiting() const { return waiting_.size(); }

private:
    friend class EarlyTests;

    // A connection counts from here to the greeting.
    class Presence {
    public:
        Presence(Screening& screening, const net::IpAddress& client);
        ~Presence();
        Presence(const Presence&) = delete;
        Presence& operator=(const Presence&) = delete;
        uint32_t connections() const { return entry_.second; }

    private:
        Screening& screening_;
        std::pair<const std::string, uint32_t>& entry_; // stays where it is
    };

    Screening(const config::Config& config, Loop& loop, AskResolver resolver);
    Task<bool> test(ByteStream& stream, ScreenedClient& client);
    Task<bool> test_before_greeting(ByteStream& stream, ScreenedClient& client);
    Task<bool> may_pass_here(const Ends& ends);
    Task<void> turn_away(ByteStream& stream, const Ends& ends, const smtp::Reply& reply);

    Loop& loop_;
    const ScreeningSettings settings_;
    AskResolver resolver_;
    std::vector<trust::DnsList> dns_lists_;
    std::unique_ptr<ScreeningAccess> access_;
    std::unique_ptr<table::MatchList> allowlist_interfaces_;
    std::unique_ptr<table::MatchList> forbidden_commands_;
    std::unique_ptr<table::Maps> reply_map_;
    std::unique_ptr<table::Cache> cache_; // null: nothing is remembered
    std::unordered_map<std::string, uint32_t> connections_;
    std::unordered_set<EarlyTests*> waiting_;
    bool stopping_ = false;
};

} // namespace posthouse::smtpd
