// The hosts of a destination, in order, see host_search.h: find_hosts() at the end is called by delivery.cc.
#include "smtp/host_search.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/random.h"
#include "lib/mail/idn.h"

#include <algorithm>

namespace posthouse::smtp_client {

namespace {

using State = net::Answer::State;

constexpr Duration search_time = Duration::seconds(60);

Error loops_back(std::string_view name)
{
    return Error(ErrorKind::Permanent, "5.4.6", cat("mail for ", name, " loops back to myself"));
}

// What the state of an answer means for the message: a name that does not exist is final.
Error not_found(const net::Answer& answer, bool defer)
{
    const bool temporary = answer.temporary() || defer;
    return Error(temporary ? ErrorKind::Temporary : ErrorKind::Permanent, temporary ? "4.4.3" : "5.4.4",
                 cat("Host or domain name not found. ", answer.detail));
}

// The hosts of one preference, collected from one or more names.
class HostCollector {
public:
    HostCollector(NameService& names, const Settings& settings, const Destination& destination, Deadline deadline)
        : names_(names), settings_(settings), destination_(destination), deadline_(deadline)
    {
    }

    // Adds the addresses of `host`. False when the host is this one.
    Task<bool> add(std::string host, uint16_t preference);
    void sort_group(size_t from);

    std::vector<MailHost> hosts;
    net::AddressAnswer failure; // of the last name without addresses, a temporary one kept

private:
    // Mail that comes back on the port we listen on would go round for ever.
    bool detects_loops() const { return !settings_.lmtp && (destination_.default_port || destination_.port == 25); }
    bool is_self(const std::string& host, const net::IpAddress& address) const
    {
        return detects_loops() && (ascii::equal(host, settings_.hostname) || settings_.own_addresses.contains(address));
    }

    NameService& names_;
    const Settings& settings_;
    const Destination& destination_;
    Deadline deadline_;
    bool have_failure_ = false;
};

Task<bool> HostCollector::add(std::string host, uint16_t preference)
{
    auto answer = co_await names_.addresses(host, deadline_);
    if (!answer.found()) {
        if (!have_failure_ || !failure.temporary())
            failure = std::move(answer);
        have_failure_ = true;
        co_return true;
    }
    for (const net::IpAddress& address : answer.addresses) {
        if (is_self(host, address))
            co_return false;
        if (address.v4() ? settings_.use_v4 : settings_.use_v6)
            hosts.push_back(MailHost(host, net::SocketAddress(address, destination_.port), preference));
    }
    co_return true;
}

// Among equals the order is random, or by address_preference.
void HostCollector::sort_group(size_t from)
{
    const auto begin = hosts.begin() + static_cast<std::ptrdiff_t>(from);
    if (settings_.randomize)
        for (size_t i = hosts.size() - from; i > 1; --i)
            std::swap(hosts[from + i - 1], hosts[from + random_below(i)]);
    if (settings_.preference == AddressPreference::Any)
        return;
    const bool v4_first = settings_.preference == AddressPreference::V4;
    std::stable_partition(begin, hosts.end(), [&](const MailHost& host) { return host.address.ip.v4() == v4_first; });
}

Task<Result<std::vector<MailHost>>> find_host(const Destination& destination, NameService& names,
                                              const Settings& settings, Deadline deadline)
{
    if (const auto literal = net::IpAddress::parse(destination.name)) {
        std::vector<MailHost> hosts;
        hosts.push_back(MailHost(destination.name, net::SocketAddress(*literal, destination.port), 0));
        if (!settings.lmtp && destination.port == 25 && settings.own_addresses.contains(*literal))
            co_return loops_back(destination.name);
        co_return hosts;
    }
    HostCollector collector(names, settings, destination, deadline);
    const auto ascii_name = mail::domain_to_ascii(destination.name);
    if (!ascii_name)
        co_return Error(ErrorKind::Permanent, "5.4.4", cat("bad host name: ", destination.name));
    const bool other = co_await collector.add(*ascii_name, 0);
    if (!other)
        co_return loops_back(destination.name);
    if (collector.hosts.empty())
        co_return not_found(collector.failure, false);
    collector.sort_group(0);
    co_return std::move(collector.hosts);
}

// Looks up one group of equal preference after the other, until there are hosts enough. Our own address
// ends it: its preference and all worse ones are not for us to try (RFC 5321 section 5.1).
Task<Result<std::vector<MailHost>>> collect_mx(const std::vector<net::MxRecord>& records, HostCollector& collector,
                                               const std::string& domain, const Settings& settings)
{
    size_t group = 0; // where the hosts of this preference begin
    for (size_t i = 0; i < records.size(); ++i) {
        const bool next_group = i > 0 && records[i].preference != records[i - 1].preference;
        if (next_group) {
            collector.sort_group(group);
            group = collector.hosts.size();
            if (settings.address_limit > 0 && group >= settings.address_limit)
                co_return std::move(collector.hosts);
        }
        if (records[i].host.empty())
            continue; // a null MX beside others means nothing
        const bool other = co_await collector.add(records[i].host, records[i].preference);
        if (other)
            continue;
        collector.hosts.resize(group);
        if (group == 0)
            co_return loops_back(domain);
        co_return std::move(collector.hosts);
    }
    collector.sort_group(group);
    if (collector.hosts.empty())
        co_return not_found(collector.failure, settings.defer_if_no_mx_address);
    co_return std::move(collector.hosts);
}

Task<Result<std::vector<MailHost>>> find_domain(const Destination& destination, NameService& names,
                                                const Settings& settings, Deadline deadline)
{
    const auto domain = mail::domain_to_ascii(destination.name);
    if (!domain)
        co_return Error(ErrorKind::Permanent, "5.4.4", cat("bad domain name: ", destination.name));
    auto answer = co_await names.mx(*domain, deadline);
    if (answer.state == State::NoData || (answer.temporary() && settings.ignore_mx_error))
        answer.records.push_back(net::MxRecord(0, *domain)); // implicit MX
    else if (!answer.found())
        co_return not_found(answer, false);
    if (answer.found() && answer.records.size() == 1 && answer.records[0].host.empty())
        co_return Error(ErrorKind::Permanent, "5.1.0",
                        cat("Domain ", destination.name, " does not accept mail (nullMX)"));
    HostCollector collector(names, settings, destination, deadline);
    auto hosts = co_await collect_mx(answer.records, collector, destination.name, settings);
    co_return hosts;
}

} // namespace

std::string MailHost::with_address() const
{
    return cat(name, '[', address.is_unix() ? address.path : address.ip.to_text(), ']');
}

std::string MailHost::with_port() const
{
    return address.is_unix() ? with_address() : cat(with_address(), ':', address.port);
}

Task<net::MxAnswer> ResolverNames::mx(std::string domain, Deadline deadline)
{
    auto answer = co_await resolver_.mx(std::move(domain), deadline);
    co_return answer;
}

Task<net::AddressAnswer> ResolverNames::addresses(std::string host, Deadline deadline)
{
    net::Family family = net::Family::Any;
    if (!settings_.use_v4)
        family = net::Family::V6;
    else if (!settings_.use_v6)
        family = net::Family::V4;
    auto answer = co_await resolver_.addresses(std::move(host), family, deadline);
    co_return answer;
}

void keep_balanced(std::vector<MailHost>& hosts, size_t limit)
{
    if (limit == 0 || hosts.size() <= limit)
        return;
    const auto is_v4 = [](const MailHost& host) { return host.address.ip.v4(); };
    const size_t v4 = static_cast<size_t>(std::count_if(hosts.begin(), hosts.end(), is_v4));
    const size_t v6 = hosts.size() - v4;
    // Each family gets half of the places, or more when the other does not fill its half.
    size_t room_v6 = std::min(v6, std::max(limit / 2, limit - std::min(v4, limit)));
    size_t room_v4 = limit - room_v6;
    std::vector<MailHost> kept;
    for (MailHost& host : hosts) {
        size_t& room = is_v4(host) ? room_v4 : room_v6;
        if (room == 0)
            continue;
        --room;
        kept.push_back(std::move(host));
    }
    hosts = std::move(kept);
}

Task<Result<std::vector<MailHost>>> find_hosts(const Destination& destination, NameService& names,
                                               const Settings& settings)
{
    const Deadline deadline = Deadline::after(search_time);
    if (destination.kind == Destination::Kind::UnixSocket) {
        std::vector<MailHost> hosts;
        hosts.push_back(MailHost(settings.hostname, net::SocketAddress::unix_path(destination.name), 0));
        co_return hosts;
    }
    if (destination.kind == Destination::Kind::Host || !settings.use_mx || net::IpAddress::parse(destination.name)) {
        auto hosts = co_await find_host(destination, names, settings, deadline);
        co_return hosts;
    }
    auto hosts = co_await find_domain(destination, names, settings, deadline);
    if (hosts && settings.balance_families)
        keep_balanced(*hosts, settings.address_limit);
    co_return hosts;
}

} // namespace posthouse::smtp_client
