// What users and domains may send: see sending_limits.h. RCPT asks, once a recipient is accepted otherwise: what is
// refused for another reason costs a sender nothing.
#include "smtpd/sending_limits.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/log/log.h"
#include "smtpd/evaluation.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

#include <algorithm>

namespace posthouse::smtpd {

namespace {

uint32_t amount(const RateLimit& limit, bool new_message)
{
    return limit.what == RateLimit::What::Messages && !new_message ? 0 : 1;
}

} // namespace

bool SendingLimits::wanted(const config::Config& config)
{
    for (const char* parameter : {"smtpd_user_rate_limits", "smtpd_user_rate_limit_maps", "smtpd_sender_domain_rate_limits",
                                  "smtpd_sender_domain_rate_limit_maps"})
        if (!config.text(parameter).empty())
            return true;
    return false;
}

Result<void> SendingLimits::read_class(Class& into, const config::Config& config, const table::Context& context)
{
    const bool users = into.name == "user";
    const std::string parameter = users ? "smtpd_user_rate_limits" : "smtpd_sender_domain_rate_limits";
    auto limits = parse_rate_limits(config.text(parameter));
    if (!limits)
        return std::move(limits.error()).within(parameter);
    into.limits = std::move(*limits);
    const std::string maps_parameter = users ? "smtpd_user_rate_limit_maps" : "smtpd_sender_domain_rate_limit_maps";
    auto maps = table::Maps::open(maps_parameter, config.text(maps_parameter), context);
    if (!maps)
        return std::move(maps.error());
    into.exceptions = std::move(*maps);
    return Result<void>();
}

Result<std::unique_ptr<SendingLimits>> SendingLimits::read(const config::Config& config, const table::Context& context)
{
    std::unique_ptr<SendingLimits> made(new SendingLimits);
    RETURN_IF_ERROR(read_class(made->users_, config, context));
    RETURN_IF_ERROR(read_class(made->domains_, config, context));
    made->hold_ = config.text("smtpd_rate_limit_action") == "hold";
    if (auto path = table::Cache::file_of(config.text("smtpd_rate_limit_map")); !path)
        return std::move(path.error()).within("smtpd_rate_limit_map");
    return made;
}

Result<std::unique_ptr<SendingLimits>> SendingLimits::open(const config::Config& config, const table::Context& context)
{
    auto made = read(config, context);
    if (!made)
        return std::move(made.error());
    auto cache = table::Cache::open(config.text("smtpd_rate_limit_map"));
    if (!cache) {
        log::error("smtpd_rate_limit_map: ", cache.error().full_text(), ": mail of users and domains is not limited");
        return std::unique_ptr<SendingLimits>();
    }
    (*made)->cache_ = std::move(*cache);
    return made;
}

bool SendingLimits::stale() const
{
    return users_.exceptions->stale() || domains_.exceptions->stale() || cache_->stale();
}

// With the limits that hold for this one. A table that fails leaves those for all.
Task<void> SendingLimits::add_sender(Class& of, std::string name, std::vector<Sender>& senders)
{
    if (name.empty())
        co_return;
    name = ascii::lower(name);
    Sender sender;
    sender.label = cat(of.name, ' ', name);
    sender.limits = of.limits;
    if (!of.exceptions->empty()) {
        auto found = co_await of.exceptions->lookup(name);
        if (!found) {
            log::warning(of.exceptions->parameter(), ": ", found.error().full_text(), "; the limits for all hold for ",
                         sender.label);
        } else if (*found) {
            auto own = parse_rate_limits(**found);
            if (own)
                sender.limits = std::move(*own);
            else
                log::warning(of.exceptions->parameter(), ": ", sender.label, ": ", own.error().text());
        }
    }
    if (!sender.limits.empty())
        senders.push_back(std::move(sender));
}

std::optional<SendingLimits::Excess> SendingLimits::exceeded(const Sender& sender, bool new_message, int64_t now)
{
    const auto entry = cache_->get(sender.label, now);
    const RateRecord record(entry ? std::string_view(entry->value) : std::string_view(), now);
    for (const RateLimit& limit : sender.limits) {
        const uint32_t more = amount(limit, new_message);
        const uint64_t sent = record.sent(limit);
        if (more > 0 && sent + more > limit.count)
            return Excess(sender.label, limit.to_text(), sent == limit.count);
    }
    return std::nullopt;
}

void SendingLimits::add(const Sender& sender, bool new_message, int64_t now)
{
    // A count that cannot be kept is one too few; the mail does not suffer.
    (void)cache_->update(sender.label, now, [&](std::optional<table::CacheEntry>& entry) {
        RateRecord record(entry ? std::string_view(entry->value) : std::string_view(), now);
        for (const RateLimit& limit : sender.limits)
            record.add(limit, amount(limit, new_message));
        entry.emplace(record.bytes(), record.forgotten_at());
    });
}

Task<std::optional<SendingLimits::Excess>> SendingLimits::count(std::string user, std::string domain, bool new_message,
                                                                 int64_t now)
{
    std::vector<Sender> senders;
    co_await add_sender(users_, std::move(user), senders);
    co_await add_sender(domains_, std::move(domain), senders);
    std::optional<Excess> excess;
    for (const Sender& sender : senders)
        if (!excess)
            excess = exceeded(sender, new_message, now);
    if (!excess || hold_)
        for (const Sender& sender : senders)
            add(sender, new_message, now);
    co_return excess;
}

// The refusal, or nothing when this recipient is within the limits, or the message is put on hold instead.
Task<std::optional<smtp::Reply>> Session::limit_sending(const Mailbox& recipient)
{
    if (!server_.sending_limits || server_.lmtp) // LMTP: mail that another server of ours has taken
        co_return std::nullopt;
    SendingLimits& limits = *server_.sending_limits;
    std::string domain(mail_->sender.domain());
    const bool new_message = !mail_->counted;
    const int64_t now = wall_clock_us() / 1'000'000;
    auto excess = co_await limits.count(login_.user, std::move(domain), new_message, now);
    mail_->counted = mail_->counted || !excess || limits.holds();
    if (!excess)
        co_return std::nullopt;
    const std::string text = cat("too much mail from ", excess->sender, ": the limit is ", excess->limit);
    if (!limits.holds() || server_.proxy) // what goes to a filter is not in our queue to be held
        co_return refuse(Verdict::refuse(450, "4.7.1", cat("Error: ", text)), where_, &recipient);
    if (excess->first)
        log::warning(text, ": what it sends is put on hold until there was less for that time");
    if (!mail_->actions.hold)
        log::info("NOQUEUE: hold: ", where_, " from ", client_.label(), ": ", text, log_context(make_case(where_, &recipient)));
    mail_->actions.hold = true;
    co_return std::nullopt;
}

} // namespace posthouse::smtpd
