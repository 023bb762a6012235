// The counts behind smtpd_client_*_limit, see client_counters.h: asked by session.cc for each connection, by
// cmd_mail.cc and cmd_rcpt.cc for each message and recipient.
#include "smtpd/client_counters.h"

#include "smtpd/client.h"

#include <utility>

namespace posthouse::smtpd {

ClientCounters::ClientCounters(Duration time_unit, int v4_prefix, int v6_prefix)
    : time_unit_(time_unit), v4_prefix_(v4_prefix), v6_prefix_(v6_prefix), table_(CounterTable::attach(-1))
{
}

ClientCounters::Visit ClientCounters::connect(const net::IpAddress& client, Instant now)
{
    const auto place = table_->enter(network_of(client, v4_prefix_, v6_prefix_), now, time_unit_);
    return place ? Visit(*this, *place) : Visit();
}

ClientCounters::Visit::Visit(Visit&& other) noexcept
    : counters_(std::exchange(other.counters_, nullptr)), place_(other.place_)
{
}

ClientCounters::Visit& ClientCounters::Visit::operator=(Visit&& other) noexcept
{
    if (this != &other) {
        end();
        counters_ = std::exchange(other.counters_, nullptr);
        place_ = other.place_;
    }
    return *this;
}

void ClientCounters::Visit::end()
{
    if (counters_)
        counters_->table_->leave(place_);
    counters_ = nullptr;
}

uint32_t ClientCounters::Visit::connections() const
{
    return counters_ ? counters_->table_->connections(place_) : 0;
}

bool ClientCounters::Visit::connections_exceed(uint32_t limit, Instant now) const
{
    if (connections() <= limit)
        return false;
    counters_->table_->forget_dead(now);
    return connections() > limit;
}

uint32_t ClientCounters::Visit::add(CounterTable::Event event, Instant now)
{
    return counters_ ? counters_->table_->add(place_, event, now, counters_->time_unit_) : 0;
}

uint32_t ClientCounters::Visit::tls_session_rate(Instant now) const
{
    return counters_ ? counters_->table_->count(place_, CounterTable::Event::TlsSession, now, counters_->time_unit_) : 0;
}

uint32_t ClientCounters::Visit::connection_rate(Instant now) const
{
    return counters_ ? counters_->table_->count(place_, CounterTable::Event::Connection, now, counters_->time_unit_) : 0;
}

uint32_t ClientCounters::Visit::count_auth_failure(Instant now)
{
    return counters_ ? counters_->table_->add_failure(place_, now, counters_->time_unit_) : 1;
}

} // namespace posthouse::smtpd
