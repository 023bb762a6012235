// Asking about addresses: see verifier.h. rules_verify.cc makes verdicts of the answers.
#include "smtpd/verifier.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/intake.h"
#include "smtpd/server.h"

#include <algorithm>
#include <utility>

namespace posthouse::smtpd {

namespace {

constexpr int64_t million = 1000000;
// A look costs microseconds, and answers often come sooner than address_verify_poll_delay.
constexpr Duration look_pause = Duration::milliseconds(100);
// When nothing is heard of a probe for so long it is sent anew.
constexpr int64_t probe_lifetime_s = 300;
constexpr Duration commit_time = Duration::seconds(30);

int64_t now_s() { return wall_clock_us() / million; }

} // namespace

UnverifiedReply::UnverifiedReply(int64_t deferral, int64_t refusal, std::string reason, std::string_view tempfail_action)
    : defer_code(static_cast<int>(deferral)), reject_code(static_cast<int>(refusal)), reject_reason(std::move(reason)),
      defer_at_once(ascii::equal(tempfail_action, "defer"))
{
}

UnverifiedReply UnverifiedReply::for_senders(const config::Config& config)
{
    return UnverifiedReply(config.number("unverified_sender_defer_code"), config.number("unverified_sender_reject_code"),
                           config.text("unverified_sender_reject_reason"),
                           config.text("unverified_sender_tempfail_action"));
}

UnverifiedReply UnverifiedReply::for_recipients(const config::Config& config)
{
    return UnverifiedReply(config.number("unverified_recipient_defer_code"),
                           config.number("unverified_recipient_reject_code"),
                           config.text("unverified_recipient_reject_reason"),
                           config.text("unverified_recipient_tempfail_action"));
}

Verifier::Verifier(const config::Config& config, Server& server)
    : senders(UnverifiedReply::for_senders(config)), recipients(UnverifiedReply::for_recipients(config)), server_(server), sender_(config),
      patience_(config.duration("address_verify_poll_delay") * (config.number("address_verify_poll_count") - 1)),
      request_limit_(static_cast<size_t>(config.number("address_verify_pending_request_limit"))), probes_(server.loop)
{
    auto cache = queue::VerifyCache::open(config);
    if (cache)
        cache_ = std::move(*cache);
    else
        no_cache_ = cache.error().full_text();
}

bool Verifier::is_sender(std::string_view address) const { return sender_.is(address, now_s()); }

Task<queue::VerifiedAddress> Verifier::ask(std::string address)
{
    if (!cache_) {
        log::warning("addresses cannot be verified: ", no_cache_);
        co_return queue::VerifiedAddress(queue::DeliveryStatus::Deferred, "4.3.0", "Address verification problem");
    }
    for (const Instant limit = server_.loop.now() + patience_;;) {
        const auto known = cache_->find(address, now_s());
        if (known)
            forget_answered(address, *known);
        if (!known || cache_->refresh_due(*known, now_s()))
            request(address, now_s());
        if (known)
            co_return *known;
        const Duration left = limit - server_.loop.now();
        if (left <= Duration())
            break;
        const Duration pause = std::min(left, look_pause);
        co_await sleep_for(server_.loop, pause);
    }
    co_return queue::VerifiedAddress(queue::DeliveryStatus::Deferred, "4.0.0", "Address verification in progress");
}

// Once, however many sessions ask.
void Verifier::request(const std::string& address, int64_t now_s)
{
    if (requested_.size() >= request_limit_)
        std::erase_if(requested_, [now_s](const auto& one) { return one.second + probe_lifetime_s <= now_s; });
    const auto earlier = requested_.find(address);
    if (earlier == requested_.end() && requested_.size() >= request_limit_)
        return; // the client is put off
    if (earlier != requested_.end() && earlier->second + probe_lifetime_s > now_s)
        return;
    requested_[address] = now_s;
    probes_.spawn(send_probe(address));
}

void Verifier::forget_answered(const std::string& address, const queue::VerifiedAddress& answer)
{
    const auto asked = requested_.find(address);
    if (asked != requested_.end() && asked->second <= answer.probed_s)
        requested_.erase(asked);
}

Task<void> Verifier::send_probe(std::string address)
{
    auto sent = co_await commit_probe(address);
    if (sent)
        co_return;
    log::warning("cannot send a probe for <", address, ">: ", sent.error().full_text());
    requested_.erase(address);
}

Task<Result<void>> Verifier::commit_probe(std::string address)
{
    const Deadline deadline = Deadline::after(commit_time);
    auto slot = co_await server_.source->begin(deadline);
    if (!slot)
        co_return std::move(slot.error());
    queue::Intake intake(*server_.intake_tables, std::move(*slot), queue::RewriteContext::Remote,
                         queue::AddressMappings::WithoutBcc);
    mail::Envelope envelope;
    envelope.sender = sender_.address(now_s());
    envelope.trace = mail::TraceVerify | mail::TraceCache;
    envelope.rewrite_context = "remote";
    envelope.recipients.emplace_back(address);
    envelope.recipients.back().original = std::move(address);
    envelope.recipients.back().notify = mail::NotifyNever;
    envelope.smtputf8 = server_.settings.smtputf8_enable && mail::has_8bit_address(envelope);
    auto committed = co_await intake.finish(std::move(envelope), smtp::ContentFacts(), deadline);
    if (!committed)
        co_return std::move(committed.error());
    co_return Result<void>();
}

} // namespace posthouse::smtpd
