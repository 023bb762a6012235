// ClientCounters: how many connections each client has now, and how much it did in the current
// anvil_rate_time_unit. One for each process: a limit holds for the sessions of one process.
// A client is an address prefix (smtpd_client_ipv4_prefix_length, smtpd_client_ipv6_prefix_length).
#pragma once

#include "lib/base/time.h"
#include "lib/net/address.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

namespace posthouse::smtpd {

class ClientCounters {
public:
    struct Entry {
        uint32_t connections = 0; // now
        uint32_t connection_rate = 0;
        uint32_t message_rate = 0;
        uint32_t recipient_rate = 0;
        uint32_t tls_session_rate = 0; // whole handshakes
        uint32_t auth_rate = 0;
        uint32_t auth_failures = 0;
        Instant window_start;
    };

    // A session's hold on its client's entry. The connection is uncounted when it dies.
    class Visit {
    public:
        Visit() = default;
        Visit(ClientCounters& counters, Entry& entry) : counters_(&counters), entry_(&entry) {}
        Visit(Visit&& other) noexcept;
        Visit& operator=(Visit&& other) noexcept;
        ~Visit() { end(); }

        bool counted() const { return entry_ != nullptr; }
        uint32_t connections() const { return entry_->connections; }
        uint32_t connection_rate() const { return entry_->connection_rate; }
        uint32_t count_message(Instant now);   // the rate with this one
        uint32_t count_recipient(Instant now);
        void count_tls_session(Instant now);
        uint32_t tls_session_rate(Instant now) const;
        uint32_t count_auth(Instant now);
        uint32_t count_auth_failure(Instant now);

    private:
        void end();
        ClientCounters* counters_ = nullptr;
        Entry* entry_ = nullptr;
    };

    ClientCounters(Duration time_unit, int v4_prefix, int v6_prefix);
    ClientCounters(const ClientCounters&) = delete;
    ClientCounters& operator=(const ClientCounters&) = delete;

    Visit connect(const net::IpAddress& client, Instant now);
    size_t size() const { return entries_.size(); }

private:
    std::string key_for(const net::IpAddress& client) const;
    void start_window(Entry& entry, Instant now) const;
    void forget_old(Instant now);

    Duration time_unit_;
    int v4_prefix_;
    int v6_prefix_;
    std::unordered_map<std::string, Entry> entries_; // its elements never move
    size_t sweep_at_ = 1024;
};

} // namespace posthouse::smtpd
