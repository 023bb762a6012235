// Greylisting: see greylist.h.
//
// In the cache, numbers as text: "net NETWORK" has how many triplets of the network came again; "trip NETWORK DOMAIN
// RECIPIENT" has when it was first seen, and a "+" once it came again in time.
#include "smtpd/greylist.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/config/value.h"
#include "lib/log/log.h"
#include "smtpd/client.h"
#include "smtpd/evaluation.h"
#include "smtpd/server.h"

#include <algorithm>
#include <string_view>

namespace posthouse::smtpd {

namespace {

constexpr int64_t day = 86400;

// What Postgrey calls them: its log analysers know these lines.
std::string_view reason(Greylist::Outcome outcome)
{
    switch (outcome) {
    case Greylist::Outcome::New: return "new";
    case Greylist::Outcome::Early: return "early-retry";
    case Greylist::Outcome::Returned:
    case Greylist::Outcome::Known: return "triplet found";
    case Greylist::Outcome::TrustedNetwork: return "client AWL";
    case Greylist::Outcome::NoMemory: return "no memory";
    }
    return "";
}

void log_decision(const Greylist::Decision& decision, const Case& asked)
{
    std::string text = cat("greylist: action=", decision.passes() ? "pass" : "greylist", ", reason=", reason(decision.outcome));
    if (decision.outcome == Greylist::Outcome::Early)
        append_to(text, " (", decision.seconds, "s missing)");
    if (decision.outcome == Greylist::Outcome::Returned)
        append_to(text, ", delay=", decision.seconds);
    log::info(text, ", client_name=", asked.client.name, ", client_address=", asked.client.address,
              ", sender=", asked.sender->completed, ", recipient=", asked.recipient->completed);
}

} // namespace

Greylist::Greylist(const config::Config& config)
    : delay_(config.duration("smtpd_greylist_delay").whole_seconds()),
      retry_window_(config.duration("smtpd_greylist_retry_window").whole_seconds()),
      allow_time_(config.duration("smtpd_greylist_allow_time").whole_seconds()),
      trusted_from_(config.number("smtpd_greylist_auto_allow_count")),
      v4_prefix_(static_cast<int>(config.number("smtpd_greylist_ipv4_prefix_length"))),
      v6_prefix_(static_cast<int>(config.number("smtpd_greylist_ipv6_prefix_length")))
{
}

bool Greylist::wanted(const config::Config& config)
{
    return config.boolean("smtpd_greylist_enable");
}

Result<std::unique_ptr<Greylist>> Greylist::read(const config::Config& config, const table::Context& context)
{
    std::unique_ptr<Greylist> made(new Greylist(config));
    if (made->retry_window_ <= made->delay_)
        return Error(ErrorKind::Config, "smtpd_greylist_retry_window: expected more than smtpd_greylist_delay, or nobody could "
                                        "come again in time");
    auto clients = table::MatchList::open("smtpd_greylist_client_exceptions", config.text("smtpd_greylist_client_exceptions"),
                                          false, context);
    if (!clients)
        return std::move(clients.error());
    made->clients_ = std::move(*clients);
    auto recipients = table::MatchList::open("smtpd_greylist_recipient_exceptions",
                                             config.text("smtpd_greylist_recipient_exceptions"), false, context);
    if (!recipients)
        return std::move(recipients.error());
    made->recipients_ = std::move(*recipients);
    if (auto path = table::Cache::file_of(config.text("smtpd_greylist_map")); !path)
        return std::move(path.error()).within("smtpd_greylist_map");
    return made;
}

Result<std::unique_ptr<Greylist>> Greylist::open(const config::Config& config, const table::Context& context)
{
    auto made = read(config, context);
    if (!made)
        return std::move(made.error());
    auto cache = table::Cache::open(config.text("smtpd_greylist_map"));
    if (!cache) {
        log::error("smtpd_greylist_map: ", cache.error().full_text(), ": nobody is greylisted");
        return std::unique_ptr<Greylist>();
    }
    (*made)->cache_ = std::move(*cache);
    return made;
}

bool Greylist::stale() const
{
    return clients_->stale() || recipients_->stale() || cache_->stale();
}

// A list that cannot be asked excepts: mail is worth more than a delay.
Task<bool> Greylist::excepted(const Case& asked)
{
    if (asked.server.lmtp || !asked.login.empty() || asked.client.port.empty())
        co_return true;
    if (!asked.in_mynetworks) {
        Result<bool> inside = co_await asked.server.mynetworks->matches_client(asked.client.name, asked.client.ip);
        if (!inside)
            co_return true;
        asked.in_mynetworks = *inside;
    }
    if (*asked.in_mynetworks)
        co_return true;
    Result<bool> client = co_await clients_->matches_client(asked.client.name, asked.client.ip);
    if (!client || *client)
        co_return true;
    const std::string address = ascii::lower(asked.recipient->completed);
    Result<bool> recipient = co_await recipients_->matches_string(address);
    if (!recipient || *recipient)
        co_return true;
    std::string user_at = cat(std::string_view(address).substr(0, address.rfind('@')), '@');
    Result<bool> user = co_await recipients_->matches_string(std::move(user_at));
    if (!user || *user)
        co_return true;
    std::string domain(asked.recipient->domain());
    if (domain.empty())
        co_return false;
    Result<bool> of_domain = co_await recipients_->matches_domain(std::move(domain));
    co_return !of_domain || *of_domain;
}

Task<Verdict> Greylist::judge(const Case& asked)
{
    const bool free = co_await excepted(asked);
    if (free)
        co_return Verdict();
    const std::string network = network_of(asked.client.ip, v4_prefix_, v6_prefix_);
    const std::string triplet = ascii::lower(cat(asked.sender->domain(), ' ', asked.recipient->completed));
    const Decision decision = decide(network, triplet, wall_clock_us() / 1'000'000);
    if (decision.outcome != Outcome::Known)
        log_decision(decision, asked);
    if (decision.passes())
        co_return Verdict();
    co_return Verdict::refuse(450, "4.2.0", cat('<', asked.recipient->given, ">: Recipient address rejected: Greylisted, try again in ",
                                                decision.seconds, " seconds"));
}

Greylist::Decision Greylist::decide(const std::string& network, const std::string& triplet, int64_t now)
{
    const auto known = trusted_from_ > 0 ? cache_->get(cat("net ", network), now) : std::nullopt;
    if (known && config::parse_number(known->value).value_or(0) >= trusted_from_) {
        if (known->expires < now + allow_time_ - day)
            (void)cache_->put(cat("net ", network), known->value, now + allow_time_, now); // else it is forgotten early
        return {Outcome::TrustedNetwork, 0};
    }
    Decision decision{Outcome::NoMemory, 0};
    const bool kept = cache_->update(cat("trip ", network, ' ', triplet), now, [&](std::optional<table::CacheEntry>& entry) {
        if (!entry) {
            entry.emplace(cat(now), now + retry_window_);
            decision = {Outcome::New, delay_};
            return;
        }
        if (entry->value.ends_with('+')) {
            decision = {Outcome::Known, 0};
            if (entry->expires < now + allow_time_ - day) // written once a day
                entry->expires = now + allow_time_;
            return;
        }
        const int64_t age = now - config::parse_number(entry->value).value_or(now);
        if (age >= 0 && age < delay_) {
            decision = {Outcome::Early, delay_ - age};
            return;
        }
        decision = {Outcome::Returned, std::max<int64_t>(0, age)}; // below 0: the clock was set back
        entry.emplace(cat(now, '+'), now + allow_time_);
    });
    if (!kept)
        return {Outcome::NoMemory, 0};
    if (decision.outcome == Outcome::Returned)
        credit(network, now);
    return decision;
}

void Greylist::credit(const std::string& network, int64_t now)
{
    if (trusted_from_ <= 0)
        return;
    (void)cache_->update(cat("net ", network), now, [&](std::optional<table::CacheEntry>& entry) {
        const int64_t before = entry ? config::parse_number(entry->value).value_or(0) : 0;
        entry.emplace(cat(before + 1), now + allow_time_);
    });
}

} // namespace posthouse::smtpd
