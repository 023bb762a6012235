// ClientCounters: how many connections each client has now, and how much it did in the current
// anvil_rate_time_unit, in all processes of the service (counter_table.h). A client is an address prefix
// (smtpd_client_ipv4_prefix_length, smtpd_client_ipv6_prefix_length).
#pragma once

#include "lib/base/time.h"
#include "lib/net/address.h"
#include "smtpd/counter_table.h"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace posthouse::smtpd {

class ClientCounters {
public:
    // A session's hold on its client's counts. The connection is uncounted when it dies.
    class Visit {
    public:
        Visit() = default;
        Visit(Visit&& other) noexcept;
        Visit& operator=(Visit&& other) noexcept;
        ~Visit() { end(); }

        bool counted() const { return counters_ != nullptr; }
        uint32_t connections() const;
        // More than `limit` connections now, none of a dead process among them.
        bool connections_exceed(uint32_t limit, Instant now) const;
        // Each: the number in this unit of time, with this one.
        uint32_t count_message(Instant now) { return add(CounterTable::Event::Message, now); }
        uint32_t count_recipient(Instant now) { return add(CounterTable::Event::Recipient, now); }
        uint32_t count_tls_session(Instant now) { return add(CounterTable::Event::TlsSession, now); }
        uint32_t count_auth(Instant now) { return add(CounterTable::Event::Auth, now); }
        uint32_t count_auth_failure(Instant now); // since there was a unit of time without one
        uint32_t tls_session_rate(Instant now) const;
        uint32_t connection_rate(Instant now) const;

    private:
        friend class ClientCounters;
        Visit(ClientCounters& counters, CounterTable::Place place) : counters_(&counters), place_(place) {}
        uint32_t add(CounterTable::Event event, Instant now);
        void end();
        ClientCounters* counters_ = nullptr;
        CounterTable::Place place_;
    };

    ClientCounters(Duration time_unit, int v4_prefix, int v6_prefix);
    ClientCounters(const ClientCounters&) = delete;
    ClientCounters& operator=(const ClientCounters&) = delete;

    // Before the first visit: count in this memory (service::Context::shared_memory; -1: none).
    void share(int fd) { table_ = CounterTable::attach(fd); }

    // A visit that is not counted() when there is no room: no limit holds for it.
    Visit connect(const net::IpAddress& client, Instant now);
    size_t size() { return table_->clients(); }

private:
    Duration time_unit_;
    int v4_prefix_;
    int v6_prefix_;
    std::unique_ptr<CounterTable> table_;
};

} // namespace posthouse::smtpd
