// UpstreamProxy: whose connection one is, when proxies in front speak for their clients (smtpd_upstream_proxy_protocol).
// Who is listed in smtpd_authorized_proxy_hosts has to begin with a PROXY header, and is believed; who is not is a client
// itself, and a header is to it what it is to any mail server: no command. Opened before privileges drop.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/event/byte_stream.h"
#include "lib/event/task.h"
#include "lib/table/match_list.h"
#include "smtpd/client.h"

#include <memory>

namespace posthouse::config {
class Config;
}

namespace posthouse::smtpd {

class UpstreamProxy {
public:
    static bool wanted(const config::Config& config);
    static Result<std::unique_ptr<UpstreamProxy>> open(const config::Config& config, const table::Context& context);

    // The ends of the client's connection, which may be `ends` itself. nullopt: there is nobody to speak with; the log
    // knows why. What follows the header is left in the stream.
    Task<std::optional<Ends>> ask(ByteStream& stream, Ends ends);
    bool stale() const { return proxies_->stale(); }

private:
    UpstreamProxy(std::unique_ptr<table::MatchList> proxies, Duration timeout)
        : proxies_(std::move(proxies)), timeout_(timeout)
    {
    }

    std::unique_ptr<table::MatchList> proxies_;
    Duration timeout_;
};

} // namespace posthouse::smtpd
