// SaslService: all of AUTH that the sessions of one smtpd process share: what the parameters say, which mechanisms may be
// offered to whom, and the connection to the service that checks logins. Opened before privileges drop; the connection is
// made afterwards, when it is first needed.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/event/task.h"
#include "lib/sasl/auth_client.h"
#include "lib/table/match_list.h"
#include "lib/table/table.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::config {
class Config;
}
namespace posthouse::net {
class Resolver;
}
namespace posthouse::tls {
struct SessionInfo;
}

namespace posthouse::smtpd {

// smtpd_sasl_security_options: which traits (sasl::MechanismTrait) a mechanism must not have, and which it has to.
class SecurityOptions {
public:
    // An Error (Config) for a word that is none.
    static Result<SecurityOptions> parse(const std::string& parameter, const std::vector<std::string>& words);
    bool allow(const sasl::Mechanism& mechanism) const;

private:
    uint8_t forbidden_ = sasl::Private;
    uint8_t required_ = 0;
};

class SaslService {
public:
    // smtpd_sasl_auth_enable.
    static bool wanted(const config::Config& config);
    // `resolver` is asked when smtpd_sasl_path names a host, and not before the first session.
    static Result<std::unique_ptr<SaslService>> open(const config::Config& config, const table::Context& context,
                                                     std::function<net::Resolver&()> resolver);

    // Names of mechanisms that may be offered now, in the order of the service; `tls` is null in the clear. An Error: it is
    // not there.
    Task<Result<std::vector<std::string>>> offered(const tls::SessionInfo* tls);
    // Whether this client is in smtpd_sasl_exceptions_networks.
    Task<bool> excepts(std::string name, net::IpAddress address);
    bool stale() const { return filter_->stale() || exceptions_->stale(); }

    sasl::AuthClient& client() { return *client_; }
    Deadline reply_deadline() const { return Deadline::after(reply_timeout_); }

    const bool tls_only; // smtpd_tls_auth_only
    const bool broken_clients;
    const bool received_header; // smtpd_sasl_authenticated_header
    const size_t response_limit;
    const std::string service_name;

private:
    explicit SaslService(const config::Config& config);

    Duration reply_timeout_;
    SecurityOptions plain_options_, tls_options_;
    std::unique_ptr<table::MatchList> filter_, exceptions_;
    std::unique_ptr<sasl::AuthClient> client_;
};

} // namespace posthouse::smtpd
