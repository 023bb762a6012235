// Probes for address verification: see probe_desk.h. The scheduler asks (scheduler.cc, placement.cc, results.cc).
#include "qmgr/probe_desk.h"

#include "lib/log/log.h"

#include <algorithm>
#include <map>
#include <utility>

namespace posthouse::qmgr {

namespace {

constexpr int64_t million = 1000000;

// A quarter of the active messages, or what main.cf says.
size_t limit_from(const config::Config& config)
{
    const auto limit = config.number("address_verify_pending_request_limit");
    const auto quarter = std::max<int64_t>(1, config.number("qmgr_message_active_limit") / 4);
    return static_cast<size_t>(config.is_set("address_verify_pending_request_limit") ? limit : std::min(limit, quarter));
}

// An address that became several is good when one of them is, and bad when all are.
bool is_better(const queue::RecipientOutcome& one, const queue::RecipientOutcome& other)
{
    return static_cast<int>(one.status) < static_cast<int>(other.status);
}

} // namespace

ProbeDesk::ProbeDesk(Loop& loop, const config::Config& config, const table::Context& context)
    : loop_(loop), config_(&config), context_(context), sender_(config), limit_(limit_from(config))
{
    open_cache();
}

Result<void> ProbeDesk::reopen(const config::Config& config, const table::Context& context)
{
    if (routes_)
        RETURN_IF_ERROR(routes_->reopen(config, context));
    config_ = &config;
    context_ = context;
    sender_ = queue::VerifySender(config);
    limit_ = limit_from(config);
    open_cache();
    return Result<void>();
}

void ProbeDesk::open_cache()
{
    auto opened = queue::VerifyCache::open(*config_);
    if (!opened)
        log::warning(opened.error().full_text(), ": addresses are not verified");
    cache_ = opened ? std::move(*opened) : nullptr;
}

Task<Result<queue::Route>> ProbeDesk::find_route(std::string address, std::string sender)
{
    if (!routes_) {
        auto opened = RouteFinder::open(loop_, *config_, context_, queue::RouteFor::Probes);
        if (!opened)
            co_return std::move(opened.error());
        routes_ = std::move(*opened);
    }
    co_return co_await routes_->find(std::move(address), std::move(sender));
}

bool ProbeDesk::is_made_up_sender(std::string_view address) const
{
    return sender_.made_up() && sender_.is(address, wall_clock_us() / million);
}

void ProbeDesk::note(const Message& probe, const std::vector<queue::RecipientOutcome>& outcomes)
{
    std::map<std::string_view, const queue::RecipientOutcome*> answers; // by the address that was asked about
    for (const queue::RecipientOutcome& outcome : outcomes) {
        const mail::Recipient& recipient = probe.recipients[outcome.index];
        const std::string_view asked = recipient.original.empty() ? recipient.address : recipient.original;
        const queue::RecipientOutcome*& answer = answers[asked];
        if (answer == nullptr || is_better(outcome, *answer))
            answer = &outcome;
    }
    if (!cache_ || cache_->stale())
        open_cache();
    const int64_t now_s = wall_clock_us() / million;
    for (const auto& [asked, answer] : answers)
        if (cache_)
            cache_->note(asked, queue::VerifiedAddress(answer->status, answer->dsn, answer->text), now_s);
}

} // namespace posthouse::qmgr
