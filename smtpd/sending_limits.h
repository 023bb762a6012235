// SendingLimits: how much each user who has logged in, and each sender domain, may send in an hour, a day: what
// smtpd_user_rate_limits, smtpd_sender_domain_rate_limits and the tables of exceptions say. The counts are in a
// table::Cache that all services of the instance share, and so outlive the processes.
#pragma once

#include "lib/base/result.h"
#include "lib/event/task.h"
#include "lib/table/cache.h"
#include "lib/table/maps.h"
#include "smtpd/rate_limits.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::config {
class Config;
}

namespace posthouse::smtpd {

class SendingLimits {
public:
    static bool wanted(const config::Config& config);
    // `open` gives null when the file of the counts cannot be used, which it logs. `read` is `open` without the file: what
    // main.cf says is checked.
    static Result<std::unique_ptr<SendingLimits>> open(const config::Config& config, const table::Context& context);
    static Result<std::unique_ptr<SendingLimits>> read(const config::Config& config, const table::Context& context);
    SendingLimits(const SendingLimits&) = delete;
    SendingLimits& operator=(const SendingLimits&) = delete;

    class Excess {
    public:
        Excess(std::string its_sender, std::string its_limit, bool is_first)
            : sender(std::move(its_sender)), limit(std::move(its_limit)), first(is_first)
        {
        }
        std::string sender; // "user bob", "domain example.com"
        std::string limit;  // "100 messages in 1h"
        bool first;         // the message or recipient before it was within the limit
    };

    // One more recipient of a message, of its first when `new_message`. What it exceeds is counted only when such mail
    // is taken all the same (holds()). `user`: "" when nobody has logged in; `domain`: "" for the null sender.
    Task<std::optional<Excess>> count(std::string user, std::string domain, bool new_message, int64_t now);

    // smtpd_rate_limit_action = hold
    bool holds() const { return hold_; }
    bool stale() const;

private:
    // Whose mail is limited alike: users, or domains.
    struct Class {
        std::string_view name; // "user"
        std::vector<RateLimit> limits;
        std::unique_ptr<table::Maps> exceptions;
    };
    // One of them, and what holds for it.
    struct Sender {
        Sender() = default;
        std::string label; // "user bob": the key, too
        std::vector<RateLimit> limits;
    };

    SendingLimits() = default;
    static Result<void> read_class(Class& into, const config::Config& config, const table::Context& context);
    Task<void> add_sender(Class& of, std::string name, std::vector<Sender>& senders);
    std::optional<Excess> exceeded(const Sender& sender, bool new_message, int64_t now);
    void add(const Sender& sender, bool new_message, int64_t now);

    Class users_{"user", {}, nullptr};
    Class domains_{"domain", {}, nullptr};
    bool hold_ = false;
    std::unique_ptr<table::Cache> cache_;
};

} // namespace posthouse::smtpd
