// Verifier: what is known of an address (reject_unverified_sender, reject_unverified_recipient), and the probes that find
// it out. A probe is a message without content that qmgr has the agents try up to RCPT; its answer comes by way of the
// cache that qmgr writes. One for all sessions of an smtpd; made before privileges drop.
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"
#include "lib/event/loop.h"
#include "lib/event/task_group.h"
#include "lib/queue/verify_cache.h"
#include "lib/queue/verify_sender.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace posthouse::smtpd {

struct Server;

// How a refusal is put, for senders or for recipients.
class UnverifiedReply {
public:
    static UnverifiedReply for_senders(const config::Config& config);
    static UnverifiedReply for_recipients(const config::Config& config);

    int defer_code;
    int reject_code;
    std::string reject_reason; // instead of what the probe found out
    bool defer_at_once;        // else only when nothing else refuses

private:
    UnverifiedReply(int64_t deferral, int64_t refusal, std::string reason, std::string_view tempfail_action);
};

class Verifier {
public:
    // Refers to the server's queue and intake tables when it is used.
    Verifier(const config::Config& config, Server& server);

    // Waits for a probe under way, as address_verify_poll_count and _delay say. Deferred, with "Address verification in
    // progress", when there is no answer by then.
    Task<queue::VerifiedAddress> ask(std::string address);
    // The address that probes come from: always good.
    bool is_sender(std::string_view address) const;
    bool stale() const { return cache_ && cache_->stale(); }

    const UnverifiedReply senders;
    const UnverifiedReply recipients;

private:
    void request(const std::string& address, int64_t now_s);
    void forget_answered(const std::string& address, const queue::VerifiedAddress& answer);
    Task<void> send_probe(std::string address);
    Task<Result<void>> commit_probe(std::string address);

    Server& server_;
    std::unique_ptr<queue::VerifyCache> cache_; // null when it cannot be opened
    std::string no_cache_;                      // why
    queue::VerifySender sender_;
    Duration patience_;
    size_t request_limit_;
    std::unordered_map<std::string, int64_t> requested_; // addresses without an answer, and when a probe was asked for
    TaskGroup probes_;                                   // last: they use what stands above
};

} // namespace posthouse::smtpd
