// DnsClient: sends questions to name servers and gives the raw answers, by c-ares on our loop: its
// sockets, retries, the change of servers and TCP for long answers. Questions carry EDNS (RFC 6891) and
// the AD bit (RFC 6840 section 5.7: "tell me whether it was validated"). No cache here: see resolver.h.
#pragma once

#include "lib/base/result.h"
#include "lib/event/loop.h"
#include "lib/net/dns_answer.h"
#include "lib/net/resolver.h"

#include <functional>
#include <memory>
#include <string>

namespace posthouse::net {

class DnsClient {
public:
    static Result<std::unique_ptr<DnsClient>> create(Loop& loop, const ResolverOptions& options);
    ~DnsClient(); // from the loop's top level; pending questions are forgotten
    DnsClient(const DnsClient&) = delete;
    DnsClient& operator=(const DnsClient&) = delete;

    // Calls `done` once, perhaps before it returns, with the packet or why there is none. `done` must
    // not resume coroutines.
    void ask(const std::string& name, DnsType type, std::function<void(Result<std::string>)> done);

    struct Impl;

private:
    explicit DnsClient(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace posthouse::net
