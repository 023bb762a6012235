// AuthClient: the connection of a process to the service that checks logins (Dovecot's auth, or another that speaks its
// auth client protocol), shared by all its sessions. Opened when it is first needed and again when it was lost; nobody
// waits for it longer than his deadline. AuthExchange: one login on it.
//
// A Dovecot that is restarted or reloaded leaves its old process to the clients that are still connected. So a connection
// ends after its time, as soon as no login is under way on it.
//
// The socket is named as it is seen where the process runs: after privileges are dropped, below queue_directory.
#pragma once

#include "lib/base/result.h"
#include "lib/base/secret.h"
#include "lib/base/time.h"
#include "lib/event/byte_stream.h"
#include "lib/event/loop.h"
#include "lib/event/notify.h"
#include "lib/event/task.h"
#include "lib/event/task_group.h"
#include "lib/net/service_address.h"
#include "lib/sasl/auth_protocol.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace posthouse::sasl {

struct AuthClientLimits {
    AuthClientLimits() = default;
    Duration connect_timeout = Duration::seconds(5); // until the handshake is over
    Duration retry_delay = Duration::seconds(1);     // after a failure; who asks meanwhile hears of it at once
    Duration lifetime = Duration::seconds(60);       // of a connection
    size_t line = 65536;                             // of the service
    size_t handshake_lines = 1000;
};

class AuthExchange;

class AuthClient {
public:
    // `resolver` is asked for names in inet: addresses; may be empty when there are none. `loop` outlives the client.
    AuthClient(Loop& loop, net::ServiceAddress address, std::function<net::Resolver&()> resolver,
               AuthClientLimits limits = AuthClientLimits());
    ~AuthClient(); // after all exchanges
    AuthClient(const AuthClient&) = delete;
    AuthClient& operator=(const AuthClient&) = delete;

    // What the service has, once there is a connection to it. An Error: there is none (logged here, once a failure).
    Task<Result<std::vector<Mechanism>>> mechanisms(Deadline deadline);

private:
    friend class AuthExchange;

    Task<Result<void>> connected(Deadline deadline);
    Task<void> run();
    Task<Error> converse();
    Task<Result<void>> shake_hands(Deadline deadline);
    Task<Error> take_replies();
    Task<Result<std::string>> read_line(Deadline deadline);
    Result<void> post(std::string_view bytes);
    bool outlived() const { return exchanges_.empty() && loop_.now() >= ends_at_; }
    uint32_t enter(AuthExchange& exchange);
    void deliver(AuthReply reply);
    void end(const Error& why);

    Loop& loop_;
    const net::ServiceAddress address_;
    const std::function<net::Resolver&()> resolver_;
    const AuthClientLimits limits_;

    std::unique_ptr<Socket> stream_; // null while not connected; run() alone reads, and lets go of it
    std::string input_;              // not yet a whole line
    std::vector<Mechanism> mechanisms_;
    bool running_ = false;
    bool greeted_ = false; // the handshake is over
    bool ready_ = false;   // and nothing has gone wrong since
    Instant ends_at_;       // from when on it is not used again
    Error last_failure_; // why there is no connection
    Instant failed_at_;  // Instant(): it has not failed
    uint32_t last_id_ = 0;
    std::unordered_map<uint32_t, AuthExchange*> exchanges_; // those that wait for a reply, or may go on
    Event changed_;                                         // ready, or ended
    TaskGroup tasks_;                                       // last
};

// A login from its beginning to OK or FAIL. Lives in a session's frame; one waiter. When it dies before the end, the
// service is told to forget it.
class AuthExchange {
public:
    explicit AuthExchange(AuthClient& client);
    ~AuthExchange();
    AuthExchange(const AuthExchange&) = delete;
    AuthExchange& operator=(const AuthExchange&) = delete;

    // An Error: the service is not there, was lost or says nothing. It is never about the login. A connection that was
    // lost unnoticed costs a second try, here and on a new connection.
    Task<Result<AuthReply>> begin(AuthRequest request, Deadline deadline);
    // After Continue: what the client says to the challenge, base64.
    Task<Result<AuthReply>> answer(Secret response, Deadline deadline);

private:
    friend class AuthClient;
    Task<Result<AuthReply>> try_once(const AuthRequest& request, Deadline deadline);
    Task<Result<AuthReply>> say(const Secret& line, Deadline deadline);
    Task<Result<AuthReply>> reply(Deadline deadline);
    void leave(); // no more replies to this one

    AuthClient& client_;
    uint32_t id_ = 0; // 0: not known to the service (any more)
    std::optional<Result<AuthReply>> outcome_;
    Event arrived_;
};

} // namespace posthouse::sasl
