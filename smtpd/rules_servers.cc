// check_{client,helo,sender,recipient,...}_{a,mx,ns}_access: access tables that are asked about the hosts that DNS names
// for a domain, by their names and their addresses.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/net/resolver.h"
#include "lib/table/maps.h"
#include "smtpd/evaluation.h"
#include "smtpd/server.h"

namespace posthouse::smtpd {

namespace {

constexpr std::string_view kind_names[] = {"A", "MX", "NS"};

// "[192.0.2.1]", "[IPv6:::1]", "192.0.2.1"; nothing for a name.
std::optional<net::IpAddress> literal_address(std::string_view text)
{
    if (text.size() > 2 && text.front() == '[' && text.back() == ']')
        text = text.substr(1, text.size() - 2);
    if (ascii::starts_with(text, "IPv6:"))
        text.remove_prefix(5);
    return net::IpAddress::parse(text);
}

} // namespace

Task<Verdict> Evaluation::check_server_access(const Rule& rule)
{
    const Subject subject = ServerRule::subject(rule.type->variant);
    const std::string domain = subject_domain(subject);
    if (domain.empty())
        co_return Verdict();
    if (const auto literal = literal_address(domain)) {
        auto found = co_await find_address_prefixes(*rule.maps, *literal);
        co_return co_await apply_server_result(rule, std::move(found), subject);
    }
    const Deadline deadline = Deadline::after(case_.server.settings.dns_timeout);
    auto hosts = co_await server_names(domain, ServerRule::kind(rule.type->variant), deadline);
    for (const std::string& host : hosts) {
        auto found = co_await find_domain(*rule.maps, host);
        if (!found || *found)
            co_return co_await apply_server_result(rule, std::move(found), subject);
        auto answer = co_await case_.server.resolver().addresses(host, net::Family::Any, deadline);
        if (answer.temporary() || (!answer.found() && ServerRule::kind(rule.type->variant) != ServerRule::A))
            log::warning("Unable to look up ", kind_names[ServerRule::kind(rule.type->variant)], " host ", host, " for ",
                         class_name(subject), ' ', shown(subject), ": ", answer.detail);
        for (const net::IpAddress& address : answer.addresses) {
            found = co_await find_address_prefixes(*rule.maps, address);
            if (!found || *found)
                co_return co_await apply_server_result(rule, std::move(found), subject);
        }
    }
    co_return Verdict();
}

// The hosts of a domain: itself for A; its mail exchangers, or itself when it has none; the name servers of the zone that
// it is in. None when DNS gives no answer: that is said in the log, and nobody is refused for it.
Task<std::vector<std::string>> Evaluation::server_names(std::string domain, uint8_t kind, Deadline deadline)
{
    std::vector<std::string> names;
    std::string failure;
    if (kind == ServerRule::Mx) {
        auto mx = co_await case_.server.resolver().mx(domain, deadline);
        if (mx.temporary())
            failure = mx.detail;
        else if (!mx.found())
            names.push_back(domain);
        for (const net::MxRecord& record : mx.records)
            if (!record.host.empty()) // a null MX (RFC 7505)
                names.push_back(record.host);
    } else if (kind == ServerRule::Ns) {
        std::string zone = domain;
        while (true) {
            auto ns = co_await case_.server.resolver().ns(zone, deadline);
            if (ns.temporary())
                failure = ns.detail;
            names = std::move(ns.names);
            const size_t dot = zone.find('.');
            // The servers of a top-level domain say nothing about those below it.
            if (!names.empty() || ns.temporary() || dot == std::string::npos || zone.find('.', dot + 1) == std::string::npos)
                break;
            zone.erase(0, dot + 1);
        }
    } else {
        names.push_back(domain);
    }
    if (!failure.empty())
        log::warning("Unable to look up ", kind_names[kind], " host for ", domain, ": ", failure);
    co_return names;
}

// Whoever runs a domain says which servers it has: OK would let everybody permit himself.
Task<Verdict> Evaluation::apply_server_result(const Rule& rule, table::Value found, Subject subject)
{
    if (!found)
        co_return lookup_failure(subject);
    if (!*found)
        co_return Verdict();
    std::string result = std::move(**found);
    Verdict verdict = co_await apply(std::move(result), subject, rule.text);
    if (verdict.kind == Verdict::Kind::Permit && !actions_.discard) {
        log::warning("restriction ", rule.type->name, " returns OK for ", shown(subject),
                     ": this is not allowed for security reasons; use DUNNO to make an exception");
        co_return configuration_error();
    }
    co_return verdict;
}

} // namespace posthouse::smtpd
