// From a destination to the hosts to try, in order: MX records with their preference, equal ones at random,
// addresses of both families, and never this host itself (RFC 5321 section 5.1, RFC 7505).
#pragma once

#include "lib/base/result.h"
#include "lib/event/task.h"
#include "lib/net/address.h"
#include "lib/net/resolver.h"
#include "smtp/destination.h"
#include "smtp/settings.h"

#include <string>
#include <vector>

namespace posthouse::smtp_client {

class MailHost {
public:
    MailHost() = default;
    MailHost(std::string its_name, net::SocketAddress its_address, uint16_t its_preference)
        : name(std::move(its_name)), address(std::move(its_address)), preference(its_preference)
    {
    }
    std::string name;
    net::SocketAddress address;
    uint16_t preference = 0;

    std::string with_address() const; // "mx.example.com[192.0.2.1]", "myhost[private/lmtp]"
    std::string with_port() const;    // the same and ":25"
};

// What is asked of DNS; the resolver, or a test's own.
class NameService {
public:
    virtual ~NameService() = default;
    virtual Task<net::MxAnswer> mx(std::string domain, Deadline deadline) = 0;
    virtual Task<net::AddressAnswer> addresses(std::string host, Deadline deadline) = 0;
};
class ResolverNames final : public NameService {
public:
    ResolverNames(net::Resolver& resolver, const Settings& settings) : resolver_(resolver), settings_(settings) {}
    Task<net::MxAnswer> mx(std::string domain, Deadline deadline) override;
    Task<net::AddressAnswer> addresses(std::string host, Deadline deadline) override;

private:
    net::Resolver& resolver_;
    const Settings& settings_;
};

// At least one host, or why there is none: an Error with enhanced status code, permanent or temporary.
Task<Result<std::vector<MailHost>>> find_hosts(const Destination& destination, NameService& names,
                                               const Settings& settings);

// Keeps the first `limit` hosts, and among them places for both families where both exist.
void keep_balanced(std::vector<MailHost>& hosts, size_t limit);

} // namespace posthouse::smtp_client
