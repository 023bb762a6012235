// Greylist: mail of a client network, sender domain and recipient that were not seen together before is put off once
// (450). A mail server comes again, most senders of spam do not. What came again is remembered; a network that did so
// for several is not put off any more. Off unless smtpd_greylist_enable; asked at RCPT, when nothing else has refused.
// Who has logged in, is in mynetworks or speaks LMTP is never put off, and nobody is when the memory cannot be used.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/event/task.h"
#include "lib/table/cache.h"
#include "lib/table/match_list.h"
#include "smtpd/verdict.h"

#include <cstdint>
#include <memory>
#include <string>

namespace posthouse::config {
class Config;
}

namespace posthouse::smtpd {

struct Case;

class Greylist {
public:
    static bool wanted(const config::Config& config);
    // `open` gives null when the file of the memory cannot be used, which it logs. `read` is `open` without the file: what
    // main.cf says is checked.
    static Result<std::unique_ptr<Greylist>> open(const config::Config& config, const table::Context& context);
    static Result<std::unique_ptr<Greylist>> read(const config::Config& config, const table::Context& context);
    Greylist(const Greylist&) = delete;
    Greylist& operator=(const Greylist&) = delete;

    // Refused for now, or nothing. The sender and the recipient of the case are there.
    Task<Verdict> judge(const Case& asked);
    bool stale() const;

    // The decision alone. `network` and `triplet` are keys, `now` is in seconds since 1970.
    enum class Outcome : uint8_t { New, Early, Returned, Known, TrustedNetwork, NoMemory };
    struct Decision {
        Outcome outcome = Outcome::New;
        int64_t seconds = 0; // Early: until it is taken; Returned: since the first time
        bool passes() const { return outcome != Outcome::New && outcome != Outcome::Early; }
    };
    Decision decide(const std::string& network, const std::string& triplet, int64_t now);

private:
    explicit Greylist(const config::Config& config);
    Task<bool> excepted(const Case& asked);
    void credit(const std::string& network, int64_t now);

    int64_t delay_;
    int64_t retry_window_;
    int64_t allow_time_;
    int64_t trusted_from_; // successes of a network; 0: never
    int v4_prefix_;
    int v6_prefix_;
    std::unique_ptr<table::MatchList> clients_;
    std::unique_ptr<table::MatchList> recipients_;
    std::unique_ptr<table::Cache> cache_;
};

} // namespace posthouse::smtpd
