// The sender of probes: see verify_sender.h.
#include "lib/queue/verify_sender.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

namespace posthouse::queue {

VerifySender::VerifySender(const config::Config& config)
    : local_(config.text("address_verify_sender")), ttl_s_(config.duration("address_verify_sender_ttl").whole_seconds())
{
    if (local_ == "<>")
        local_.clear();
    if (local_.empty())
        return;
    const size_t at = local_.rfind('@');
    domain_ = at == std::string::npos ? cat('@', config.text("myorigin")) : local_.substr(at);
    local_.resize(std::min(local_.size(), at));
}

std::string VerifySender::in_period(int64_t period) const
{
    if (local_.empty())
        return local_;
    return ttl_s_ > 0 ? cat(local_, period, domain_) : cat(local_, domain_);
}

std::string VerifySender::address(int64_t now_s) const { return in_period(ttl_s_ > 0 ? now_s / ttl_s_ : 0); }

bool VerifySender::is(std::string_view address, int64_t now_s) const
{
    if (local_.empty() || address.size() < local_.size() || !ascii::equal(address.substr(0, local_.size()), local_))
        return false;
    const int64_t period = ttl_s_ > 0 ? now_s / ttl_s_ : 0;
    return ascii::equal(address, in_period(period)) || ascii::equal(address, in_period(period - 1));
}

} // namespace posthouse::queue
