// Mechanisms and the authentication service: see sasl_service.h.
#include "smtpd/sasl_service.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/tls/session_info.h"

#include <algorithm>
#include <iterator>

namespace posthouse::smtpd {

namespace {

struct SecurityWord {
    std::string_view word;
    uint8_t forbids;
    uint8_t requires_;
};
constexpr SecurityWord security_words[] = {
    {"noanonymous", sasl::Anonymous, 0},   {"noplaintext", sasl::PlainText, 0},
    {"nodictionary", sasl::Dictionary, 0}, {"noactive", sasl::Active, 0},
    {"forward_secrecy", 0, sasl::ForwardSecrecy}, {"mutual_auth", 0, sasl::MutualAuth},
};

Error bad_parameter(const char* parameter, std::string_view why)
{
    return Error(ErrorKind::Config, cat(parameter, ": ", why));
}

Result<void> open_options(SecurityOptions& into, const config::Config& config, const char* parameter)
{
    auto options = SecurityOptions::parse(parameter, config.list(parameter));
    if (!options)
        return std::move(options.error());
    into = *options;
    return Result<void>();
}

Result<void> open_list(std::unique_ptr<table::MatchList>& into, const config::Config& config, const table::Context& context,
                       const char* parameter)
{
    auto list = table::MatchList::open(parameter, config.text(parameter), false, context);
    if (!list)
        return std::move(list.error());
    into = std::move(*list);
    return Result<void>();
}

} // namespace

Result<SecurityOptions> SecurityOptions::parse(const std::string& parameter, const std::vector<std::string>& words)
{
    SecurityOptions options;
    for (const std::string& word : words) {
        const auto* found = std::find_if(std::begin(security_words), std::end(security_words),
                                         [&](const SecurityWord& row) { return ascii::equal(row.word, word); });
        if (found == std::end(security_words))
            return bad_parameter(parameter.c_str(), cat("unknown option ", word));
        options.forbidden_ = static_cast<uint8_t>(options.forbidden_ | found->forbids);
        options.required_ = static_cast<uint8_t>(options.required_ | found->requires_);
    }
    return options;
}

bool SecurityOptions::allow(const sasl::Mechanism& mechanism) const
{
    return (mechanism.traits & forbidden_) == 0 && (mechanism.traits & required_) == required_;
}

SaslService::SaslService(const config::Config& config)
    : tls_only(config.boolean("smtpd_tls_auth_only")),
      broken_clients(config.boolean("broken_sasl_auth_clients")),
      received_header(config.boolean("smtpd_sasl_authenticated_header")),
      response_limit(static_cast<size_t>(config.number("smtpd_sasl_response_limit"))),
      service_name(config.text("smtpd_sasl_service")),
      reply_timeout_(config.duration("smtpd_sasl_timeout"))
{
}

bool SaslService::wanted(const config::Config& config)
{
    return config.boolean("smtpd_sasl_auth_enable");
}

Result<std::unique_ptr<SaslService>> SaslService::open(const config::Config& config, const table::Context& context,
                                                       std::function<net::Resolver&()> resolver)
{
    const std::string& type = config.text("smtpd_sasl_type");
    if (!ascii::equal(type, "dovecot"))
        return bad_parameter("smtpd_sasl_type",
                             cat("there is no ", type, " here; logins are checked with smtpd_sasl_type = dovecot and the "
                                 "path of the service's socket in smtpd_sasl_path"));
    std::string path = config.text("smtpd_sasl_path");
    if (!path.starts_with("inet:") && !path.starts_with("unix:"))
        path.insert(0, "unix:");
    auto address = net::ServiceAddress::parse(path);
    if (!address)
        return std::move(address.error()).within("smtpd_sasl_path");
    std::unique_ptr<SaslService> made(new SaslService(config));
    RETURN_IF_ERROR(open_options(made->plain_options_, config, "smtpd_sasl_security_options"));
    RETURN_IF_ERROR(open_options(made->tls_options_, config, "smtpd_sasl_tls_security_options"));
    RETURN_IF_ERROR(open_list(made->filter_, config, context, "smtpd_sasl_mechanism_filter"));
    RETURN_IF_ERROR(open_list(made->exceptions_, config, context, "smtpd_sasl_exceptions_networks"));
    sasl::AuthClientLimits limits;
    limits.connect_timeout = config.duration("smtpd_sasl_connect_timeout");
    limits.lifetime = config.duration("smtpd_sasl_connection_time");
    made->client_ =
        std::make_unique<sasl::AuthClient>(*context.loop, std::move(*address), std::move(resolver), limits);
    return made;
}

Task<Result<std::vector<std::string>>> SaslService::offered(const tls::SessionInfo* tls)
{
    auto mechanisms = co_await client_->mechanisms(reply_deadline());
    if (!mechanisms)
        co_return std::move(mechanisms.error());
    const SecurityOptions& options = tls ? tls_options_ : plain_options_;
    const bool has_certificate = tls && tls->trust >= tls::PeerTrust::Trusted && !tls->login_name.empty();
    std::vector<std::string> names;
    for (const sasl::Mechanism& mechanism : *mechanisms) {
        if (!options.allow(mechanism) || (mechanism.name == "EXTERNAL" && !has_certificate))
            continue;
        if (!filter_->empty()) {
            Result<bool> passes = co_await filter_->matches_string(mechanism.name);
            if (!passes)
                co_return std::move(passes.error());
            if (!*passes)
                continue;
        }
        names.push_back(mechanism.name);
    }
    co_return names;
}

// A table that cannot be read excepts: a client that should not log in is the one that may not be asked to.
Task<bool> SaslService::excepts(std::string name, net::IpAddress address)
{
    if (exceptions_->empty())
        co_return false;
    Result<bool> found = co_await exceptions_->matches_client(std::move(name), address);
    co_return !found || *found;
}

} // namespace posthouse::smtpd
