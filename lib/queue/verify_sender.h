// The sender of probes for address verification (address_verify_sender): smtpd asks with it and takes mail for it, as
// whoever is asked may verify it in turn; qmgr drops that mail when it is nobody's mailbox.
#pragma once

#include "lib/base/time.h"
#include "lib/config/config.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace posthouse::queue {

class VerifySender {
public:
    VerifySender() = default; // the null sender
    explicit VerifySender(const config::Config& config);

    // "double-bounce@example.org"; "" for the null sender. With address_verify_sender_ttl another local part in each
    // such time. `now_s`: seconds since 1970.
    std::string address(int64_t now_s) const;
    // Whether the address is that one, or the one of the time before.
    bool is(std::string_view address, int64_t now_s) const;
    // Nobody's mailbox, whatever address_verify_sender names: its local part changes with the time.
    bool made_up() const { return ttl_s_ > 0; }

private:
    std::string in_period(int64_t period) const;

    std::string local_;
    std::string domain_; // with its @
    int64_t ttl_s_ = 0;  // 0: always the same
};

} // namespace posthouse::queue
