// PolicyClient: one policy server of check_policy_service, shared by all sessions of a process. Connections are kept and
// used again; several requests at a time go over as many connections, up to a limit, and whoever finds none free waits
// for his turn. A session waits here as one coroutine, no longer than its time.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/event/loop.h"
#include "lib/event/notify.h"
#include "lib/event/task.h"
#include "lib/net/service_address.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::config {
class Config;
}

namespace posthouse::smtpd {

class PolicySettings {
public:
    // "inet:host:port", "unix:path", or "{ inet:host:port, name=value, { name = value } }" where name is one of
    // smtpd_policy_service_NAME. What is not said there is as main.cf has it.
    static Result<PolicySettings> parse(std::string_view text, const config::Config& config);

    net::ServiceAddress address;
    std::string default_action; // when the server gives none
    std::string context;        // policy_context
    Duration timeout;           // of one try, the wait for a connection included
    Duration max_idle;          // of a connection
    Duration max_ttl;
    Duration retry_delay;
    size_t request_limit; // over one connection; 0: no limit
    size_t try_limit;
    size_t connection_limit;

private:
    explicit PolicySettings(const config::Config& config);
    Result<void> set(std::string_view name, std::string_view value);
};

class PolicyClient {
public:
    // `resolver` is asked when the address has a name. Loop and resolver outlive the client, the client all its questions.
    PolicyClient(Loop& loop, PolicySettings settings, std::function<net::Resolver&()> resolver);
    ~PolicyClient();
    PolicyClient(const PolicyClient&) = delete;
    PolicyClient& operator=(const PolicyClient&) = delete;

    // The action of the reply; when there is none, default_action, and a warning in the log for each try that failed.
    Task<std::string> ask(std::string request);
    const PolicySettings& settings() const { return settings_; }

private:
    struct Connection;
    class Lease;

    Task<Result<std::string>> ask_once(const std::string& request, Deadline deadline);
    Task<Result<std::string>> exchange(Lease& lease, const std::string& request, Deadline deadline);
    Task<Result<void>> wait_for_turn(Deadline deadline);
    std::unique_ptr<Connection> take_idle();
    void give_back(std::unique_ptr<Connection> connection);
    void close_idle();

    Loop& loop_;
    const PolicySettings settings_;
    const std::function<net::Resolver&()> resolver_;
    std::vector<std::unique_ptr<Connection>> idle_; // the one used last is at the end, and is used next
    size_t busy_ = 0;                               // leases
    Event freed_;
    Timer idle_timer_;
};

} // namespace posthouse::smtpd
