// Proxies in front: see upstream_proxy.h.
#include "smtpd/upstream_proxy.h"

#include "lib/config/config.h"
#include "lib/log/log.h"
#include "lib/net/proxy_protocol.h"

namespace posthouse::smtpd {

namespace {

constexpr const char* hosts_parameter = "smtpd_authorized_proxy_hosts";

struct Parameters {
    const char* protocol;
    const char* timeout;
};
constexpr Parameters of_smtpd = {"smtpd_upstream_proxy_protocol", "smtpd_upstream_proxy_timeout"};
constexpr Parameters of_postscreen = {"postscreen_upstream_proxy_protocol", "postscreen_upstream_proxy_timeout"};

// A service that screens its clients has the names of postscreen for the same.
const Parameters& parameters(const config::Config& config)
{
    const bool screens = config.boolean("smtpd_screening_enable");
    return screens && !config.text(of_postscreen.protocol).empty() ? of_postscreen : of_smtpd;
}

} // namespace

bool UpstreamProxy::wanted(const config::Config& config)
{
    return !config.text(parameters(config).protocol).empty();
}

Result<std::unique_ptr<UpstreamProxy>> UpstreamProxy::open(const config::Config& config, const table::Context& context)
{
    auto proxies = table::MatchList::open(hosts_parameter, config.text(hosts_parameter), false, context);
    if (!proxies)
        return std::move(proxies.error());
    const Duration timeout = config.duration(parameters(config).timeout);
    return std::unique_ptr<UpstreamProxy>(new UpstreamProxy(std::move(*proxies), timeout));
}

// To give up without a word is all that is safe: who does not speak the protocol may not speak SMTP either. LOCAL and
// UNKNOWN are the proxy's own connections, as the protocol has it: it asks whether we are alive.
Task<std::optional<Ends>> UpstreamProxy::ask(ByteStream& stream, Ends ends)
{
    const std::string name; // a proxy is known by its address: its name would have to be looked up first
    Result<bool> is_proxy = co_await proxies_->matches_client(name, ends.client.ip);
    if (!is_proxy) {
        log::warning(is_proxy.error().full_text(), ": connection closed: from ", ends.client_text());
        co_return std::nullopt;
    }
    if (!*is_proxy)
        co_return ends;
    const Deadline deadline = Deadline::after(timeout_);
    auto header = co_await net::read_proxy_header(stream, deadline);
    if (!header) {
        log::warning("no PROXY header from ", ends.client_text(), ": ", header.error().full_text(), ": connection closed");
        co_return std::nullopt;
    }
    if (!header->has_value()) {
        log::info("lost connection before the PROXY header from ", ends.client_text());
        co_return std::nullopt;
    }
    const net::ProxyHeader& said = **header;
    if (said.own_connection)
        co_return ends;
    co_return Ends(said.source, said.destination);
}

} // namespace posthouse::smtpd
