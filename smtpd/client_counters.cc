// The counts behind smtpd_client_*_limit, see client_counters.h: asked by session.cc for each connection, by
// cmd_mail.cc and cmd_rcpt.cc for each message and recipient.
#include "smtpd/client_counters.h"

#include <algorithm>
#include <utility>

namespace posthouse::smtpd {

ClientCounters::ClientCounters(Duration time_unit, int v4_prefix, int v6_prefix)
    : time_unit_(time_unit), v4_prefix_(v4_prefix), v6_prefix_(v6_prefix)
{
}

ClientCounters::Visit ClientCounters::connect(const net::IpAddress& client, Instant now)
{
    if (entries_.size() >= sweep_at_)
        forget_old(now);
    Entry& entry = entries_[key_for(client)];
    start_window(entry, now);
    ++entry.connections;
    ++entry.connection_rate;
    return Visit(*this, entry);
}

// The address with the bits behind the prefix cleared.
std::string ClientCounters::key_for(const net::IpAddress& client) const
{
    std::string key(client.bytes());
    size_t keep = static_cast<size_t>(client.v4() ? v4_prefix_ : v6_prefix_);
    for (char& byte : key) {
        const size_t bits = std::min<size_t>(keep, 8);
        byte = static_cast<char>(static_cast<unsigned char>(byte) & (0xff00u >> bits));
        keep -= bits;
    }
    return key;
}

void ClientCounters::start_window(Entry& entry, Instant now) const
{
    if (entry.window_start != Instant() && now - entry.window_start < time_unit_)
        return;
    entry.connection_rate = 0;
    entry.message_rate = 0;
    entry.recipient_rate = 0;
    entry.tls_session_rate = 0;
    entry.auth_rate = 0;
    entry.auth_failures = 0;
    entry.window_start = now;
}

// Keeps the table in proportion to the clients of one time unit.
void ClientCounters::forget_old(Instant now)
{
    std::erase_if(entries_, [&](const auto& item) {
        return item.second.connections == 0 && now - item.second.window_start >= time_unit_;
    });
    sweep_at_ = std::max<size_t>(1024, entries_.size() * 2);
}

ClientCounters::Visit::Visit(Visit&& other) noexcept
    : counters_(std::exchange(other.counters_, nullptr)), entry_(std::exchange(other.entry_, nullptr))
{
}

ClientCounters::Visit& ClientCounters::Visit::operator=(Visit&& other) noexcept
{
    if (this != &other) {
        end();
        counters_ = std::exchange(other.counters_, nullptr);
        entry_ = std::exchange(other.entry_, nullptr);
    }
    return *this;
}

void ClientCounters::Visit::end()
{
    if (entry_)
        --entry_->connections;
    entry_ = nullptr;
}

uint32_t ClientCounters::Visit::count_message(Instant now)
{
    counters_->start_window(*entry_, now);
    return ++entry_->message_rate;
}

void ClientCounters::Visit::count_tls_session(Instant now)
{
    counters_->start_window(*entry_, now);
    ++entry_->tls_session_rate;
}

uint32_t ClientCounters::Visit::tls_session_rate(Instant now) const
{
    counters_->start_window(*entry_, now);
    return entry_->tls_session_rate;
}

uint32_t ClientCounters::Visit::count_recipient(Instant now)
{
    counters_->start_window(*entry_, now);
    return ++entry_->recipient_rate;
}

uint32_t ClientCounters::Visit::count_auth(Instant now)
{
    counters_->start_window(*entry_, now);
    return ++entry_->auth_rate;
}

uint32_t ClientCounters::Visit::count_auth_failure(Instant now)
{
    counters_->start_window(*entry_, now);
    return ++entry_->auth_failures;
}

} // namespace posthouse::smtpd
