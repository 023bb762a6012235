// The restrictions that ask DNS whether a name exists, and permit_mx_backup. No answer is no reason to say more than
// "later", and often not even that: see put_off.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/net/resolver.h"
#include "lib/table/match_list.h"
#include "smtpd/evaluation.h"
#include "smtpd/hostname.h"
#include "smtpd/server.h"

#include <algorithm>

namespace posthouse::smtpd {

// What a lookup that has failed for the time being leads to: reject_tempfail_action and its kin.
Verdict Evaluation::put_off(Verdict later, bool at_once)
{
    if (at_once)
        return later;
    if (!warn_only_ && !defer_if_permit_)
        defer_if_permit_ = std::move(later);
    return Verdict();
}

Task<Verdict> Evaluation::reject_unknown_domain(const Rule& rule)
{
    const Subject subject = static_cast<Subject>(rule.type->variant);
    const Mailbox* box = mailbox(subject);
    if (!box || box->completed.empty())
        co_return Verdict();
    const std::string domain(box->domain());
    if (domain.empty() || domain.front() == '[')
        co_return Verdict();
    auto address_class = co_await case_.server.router->classify(domain);
    if (!address_class)
        co_return lookup_failure(subject);
    // A domain of ours need not be in DNS.
    if (*address_class != queue::AddressClass::Default)
        co_return Verdict();

    const bool of_sender = subject == Subject::Sender;
    const std::string_view dsn = of_sender ? "5.1.8" : "5.1.2";
    const Deadline deadline = Deadline::after(case_.server.settings.dns_timeout);
    auto mx = co_await case_.server.resolver().mx(domain, deadline);
    if (mx.found()) {
        // RFC 7505: a null MX says that the domain takes no mail, and so no bounces either.
        const bool null_mx = mx.records.size() == 1 && mx.records.front().host.empty();
        if (!null_mx)
            co_return Verdict();
        co_return rejected(of_sender ? 550 : 556, of_sender ? "5.7.27" : "5.1.10", subject,
                           cat("Domain ", domain, " does not accept mail (nullMX)"));
    }
    bool temporary = mx.temporary();
    if (mx.state == net::Answer::State::NoData) {
        auto addresses = co_await case_.server.resolver().addresses(domain, net::Family::Any, deadline);
        if (addresses.found())
            co_return Verdict();
        temporary = addresses.temporary();
    }
    Verdict unknown = rejected(case_.server.settings.unknown_address_code, dsn, subject, "Domain not found");
    if (!temporary)
        co_return unknown;
    unknown.soften(450);
    co_return put_off(std::move(unknown), case_.server.settings.defer_unknown_address);
}

Task<Verdict> Evaluation::reject_unknown_helo(const Rule&)
{
    if (case_.helo.empty() || is_literal(case_.helo))
        co_return Verdict();
    const Deadline deadline = Deadline::after(case_.server.settings.dns_timeout);
    auto addresses = co_await case_.server.resolver().addresses(case_.helo, net::Family::Any, deadline);
    if (addresses.found())
        co_return Verdict();
    auto mx = co_await case_.server.resolver().mx(case_.helo, deadline);
    if (mx.found())
        co_return Verdict();
    Verdict unknown = rejected(case_.server.settings.unknown_hostname_code, "5.7.1", Subject::Helo, "Host not found");
    if (!addresses.temporary() && !mx.temporary())
        co_return unknown;
    unknown.soften(450);
    co_return put_off(std::move(unknown), case_.server.settings.defer_unknown_helo);
}

Task<Verdict> Evaluation::reject_unknown_client(const Rule& rule)
{
    const bool reverse_only = static_cast<Subject>(rule.type->variant) == Subject::ReverseClient;
    const NameState state = reverse_only ? case_.client.reverse_state : case_.client.state;
    if (state == NameState::Found)
        co_return Verdict();
    const int code = state == NameState::Temporary ? 450 : case_.server.settings.unknown_client_code;
    co_return Verdict::refuse(code, "5.7.25",
                              cat("Client host rejected: cannot find your ", reverse_only ? "reverse " : "", "hostname, [",
                                  case_.client.address, ']'));
}

// ---- permit_mx_backup

namespace {

// Those of best preference.
std::vector<net::MxRecord> primary_hosts(const std::vector<net::MxRecord>& all)
{
    std::vector<net::MxRecord> best;
    for (const net::MxRecord& record : all)
        if (record.preference == all.front().preference)
            best.push_back(record);
    return best;
}

} // namespace

// A relay for a domain that names us as one of its mail exchangers, though not as the first; and if
// permit_mx_backup_networks says so, only for those whose first ones are there.
Task<Verdict> Evaluation::permit_mx_backup(const Rule& rule)
{
    if (!case_.recipient)
        co_return Verdict();
    Result<bool> ours = co_await recipient_is_ours();
    if (!ours)
        co_return lookup_failure(Subject::Recipient);
    if (*ours)
        co_return co_await permitted(rule.type->name, Subject::Recipient);
    const std::string domain(case_.recipient->domain());
    const bool sender_routed = route_->sender_routed && !case_.server.settings.allow_untrusted_routing;
    if (sender_routed || domain.empty() || domain.front() == '[')
        co_return Verdict();
    const Deadline deadline = Deadline::after(case_.server.settings.dns_timeout);
    auto mx = co_await case_.server.resolver().mx(domain, deadline);
    if (mx.temporary())
        co_return unknown_exchanger("Unable to look up mail exchanger information: Host not found, try again");
    if (!mx.found())
        co_return Verdict();
    const std::vector<net::MxRecord> primary = primary_hosts(mx.records);
    const Found among_first = co_await find_self(primary, deadline);
    if (among_first == Found::Yes)
        co_return Verdict();
    const Found among_all = co_await find_self(mx.records, deadline);
    if (among_first == Found::Unknown || among_all == Found::Unknown)
        co_return unknown_exchanger("Unable to look up a mail exchanger's address: Host not found, try again");
    if (among_all == Found::No)
        co_return Verdict();
    const bool trusted = co_await primary_in_networks(primary, deadline);
    if (!trusted)
        co_return Verdict();
    co_return co_await permitted(rule.type->name, Subject::Recipient);
}

// A later refusal becomes "later".
Verdict Evaluation::unknown_exchanger(std::string_view why)
{
    if (!warn_only_ && !defer_if_reject_)
        defer_if_reject_ = rejected(450, "4.4.4", Subject::Recipient, why);
    return Verdict();
}

Task<Evaluation::Found> Evaluation::find_self(std::vector<net::MxRecord> hosts, Deadline deadline)
{
    bool unknown = false;
    for (const net::MxRecord& record : hosts) {
        if (ascii::equal(record.host, case_.server.settings.hostname))
            co_return Found::Yes;
        if (record.host.empty())
            continue;
        auto answer = co_await case_.server.resolver().addresses(record.host, net::Family::Any, deadline);
        unknown = unknown || answer.temporary();
        for (const net::IpAddress& address : answer.addresses)
            if (case_.server.is_own_address(address))
                co_return Found::Yes;
    }
    co_return unknown ? Found::Unknown : Found::No;
}

Task<bool> Evaluation::primary_in_networks(std::vector<net::MxRecord> hosts, Deadline deadline)
{
    table::MatchList& networks = *case_.server.mx_backup_networks;
    if (networks.empty())
        co_return true;
    for (const net::MxRecord& record : hosts) {
        auto answer = co_await case_.server.resolver().addresses(record.host, net::Family::Any, deadline);
        for (const net::IpAddress& address : answer.addresses) {
            Result<bool> inside = co_await networks.matches_client(record.host, address);
            if (inside && *inside)
                co_return true;
        }
    }
    co_return false;
}

} // namespace posthouse::smtpd
