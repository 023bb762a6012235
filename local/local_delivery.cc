// Delivery to local names: see local_delivery.h.
//
// An alias with a single end is delivered at once. One with more becomes a new message with a recipient for
// each of them, so that each has its own fate: one that has to wait holds up no other, one that fails is
// returned for itself (to the list's owner where there is one), and none is repeated because another one is
// tried again. That step is durable as a whole. (Ends with different owners make a message for each owner:
// only a queue that goes out of reach between those leads to a repetition.)
#include "local/local_delivery.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/crc32c.h"
#include "lib/mail/address.h"

#include <cstdio>
#include <map>

namespace posthouse::local {

namespace {
constexpr Duration lookup_time = Duration::seconds(60);

// Safe in an address without a second thought: no rewriting takes such a local part for something else.
bool goes_into_address(std::string_view text)
{
    constexpr size_t longest = 200;
    for (const char c : text)
        if (!ascii::is_alnum(c) && std::string_view("/|._-=").find(c) == std::string_view::npos)
            return false;
    return text.size() <= longest;
}

std::string relay_value(std::string_view name, const std::string& local, const std::string& domain,
                        std::string_view delimiters)
{
    const size_t extension = table::find_extension(local, delimiters);
    if (name == "local")
        return local;
    if (name == "domain")
        return domain;
    if (name == "recipient")
        return cat(local, '@', domain);
    if (name == "user")
        return local.substr(0, extension);
    if (name == "extension" && extension != std::string::npos)
        return local.substr(extension + 1);
    return "";
}
} // namespace

std::string local_part_of(const std::string& name, const Destination& end)
{
    const std::string text = cat(end.kind == Destination::Kind::Command ? "|" : "", end.text);
    if (goes_into_address(text))
        return cat(name, ':', text);
    char sum[16];
    std::snprintf(sum, sizeof sum, "#%08x", crc32c(text));
    return cat(name, ':', sum);
}

std::string expand_relay(std::string_view pattern, const std::string& local, const std::string& domain,
                         std::string_view delimiters)
{
    std::string result;
    while (!pattern.empty()) {
        const size_t dollar = pattern.find('$');
        result.append(pattern.substr(0, dollar));
        if (dollar == std::string_view::npos)
            break;
        pattern.remove_prefix(dollar + 1);
        const bool braced = pattern.starts_with('{');
        if (braced)
            pattern.remove_prefix(1);
        size_t end = 0;
        while (end < pattern.size() && ascii::is_alnum(pattern[end]))
            ++end;
        result += relay_value(pattern.substr(0, end), local, domain, delimiters);
        pattern.remove_prefix(end);
        if (braced && pattern.starts_with('}'))
            pattern.remove_prefix(1);
    }
    return result;
}

LocalDelivery::LocalDelivery(const Settings& settings, std::unique_ptr<table::Maps> aliases,
                             table::AddressMaps::LocalTest local, MailboxDelivery mailboxes, Forwarder forwarder,
                             ThreadPool& pool)
    : settings_(settings), aliases_(std::move(aliases)),
      expander_(*aliases_, std::move(local), pool, settings.delimiters, settings.origin), mailboxes_(mailboxes),
      forwarder_(forwarder)
{
}

Task<Outcome> LocalDelivery::deliver(const queue::DeliveryRequest& request, size_t position, const MessageHead& head)
{
    const std::string& address = request.envelope.recipients[position].address;
    if (head.was_delivered_to(address))
        co_return Outcome::failed("5.4.6", cat("mail forwarding loop for ", address));
    auto parsed = mail::parse_address(address);
    if (!parsed || parsed->local.empty())
        co_return Outcome::failed("5.1.3", cat("bad recipient address: ", address));
    Job job{request, position, ascii::lower(parsed->local), parsed->domain.empty() ? settings_.origin : parsed->domain};
    if (const size_t colon = parsed->local.find(':'); colon != std::string::npos) {
        auto outcome = co_await deliver_end(job, job.local.substr(0, colon), parsed->local.substr(colon));
        if (outcome)
            co_return std::move(*outcome);
    }
    co_return co_await deliver_name(job);
}

// The file or command of an alias that has others beside it. Nothing when it is none of the kind.
Task<std::optional<Outcome>> LocalDelivery::deliver_end(const Job& job, std::string name, std::string end)
{
    auto expansion = co_await expander_.expand(name, job.domain);
    if (!expansion)
        co_return Outcome::from_error(expansion.error());
    const std::string wanted = cat(name, end);
    for (const Destination& destination : expansion->destinations) {
        const bool is_end = destination.kind == Destination::Kind::File || destination.kind == Destination::Kind::Command;
        if (is_end && local_part_of(name, destination) == wanted)
            co_return co_await deliver_one(job, destination);
    }
    co_return std::nullopt;
}

Task<Outcome> LocalDelivery::deliver_name(const Job& job)
{
    auto expansion = co_await expander_.expand(job.local, job.domain);
    if (!expansion)
        co_return Outcome::from_error(expansion.error());
    if (!expansion->is_alias)
        co_return co_await deliver_user(job, expansion->destinations.at(0).text);
    co_return co_await deliver_alias(job, std::move(expansion->destinations));
}

Task<Outcome> LocalDelivery::deliver_alias(const Job& job, std::vector<Destination> destinations)
{
    if (destinations.empty())
        co_return Outcome::failed("5.4.6", cat("alias ", job.local, " leads to nothing but itself"));
    if (destinations.size() == 1 && destinations.front().kind != Destination::Kind::Remote &&
        destinations.front().owner.empty())
        co_return co_await deliver_one(job, destinations.front());

    std::map<std::string, std::vector<std::string>> forwards; // by new sender
    for (const Destination& destination : destinations)
        forwards[destination.owner].push_back(address_of(job, destination));
    Outcome last = Outcome::failed("5.3.0", "nothing was delivered");
    for (auto& [owner, addresses] : forwards) {
        last = co_await forward(job, owner, std::move(addresses));
        if (!last.delivered())
            co_return last;
    }
    last.action = queue::DeliveryAction::Expanded;
    co_return last;
}

// As a recipient of the new message.
std::string LocalDelivery::address_of(const Job& job, const Destination& destination)
{
    switch (destination.kind) {
    case Destination::Kind::Remote:
        return destination.text;
    case Destination::Kind::User:
        return mail::Address(destination.text, job.domain).to_text();
    case Destination::Kind::Mailbox: // the alias is not asked again
        return mail::Address(cat('\\', destination.text), job.domain).to_text();
    case Destination::Kind::File:
    case Destination::Kind::Command:
        break;
    }
    return mail::Address(local_part_of(job.local, destination), job.domain).to_text();
}

Task<Outcome> LocalDelivery::deliver_one(const Job& job, const Destination& destination)
{
    switch (destination.kind) {
    case Destination::Kind::Mailbox:
    case Destination::Kind::User:
        co_return co_await deliver_user(job, destination.text);
    case Destination::Kind::File:
        if (!(destination.from_include ? settings_.files_in_includes : settings_.files_in_aliases))
            co_return Outcome::failed("5.7.1", cat("mail to files is not permitted here: ", destination.text));
        co_return co_await mailboxes_.deliver(job.request, job.position, Account::of_files(), destination.text);
    case Destination::Kind::Command:
        // Kept in the queue: an alias that works elsewhere should not lose mail here.
        co_return Outcome::deferred("4.3.3", cat("delivery to commands is not available: |", destination.text));
    case Destination::Kind::Remote:
        break;
    }
    co_return co_await forward(job, destination.owner, std::vector<std::string>(1, destination.text));
}

Task<Outcome> LocalDelivery::deliver_user(const Job& job, std::string user)
{
    user = user.substr(0, table::find_extension(user, settings_.delimiters));
    auto account = co_await mailboxes_.workers().find_user(user, Deadline::after(lookup_time));
    if (!account)
        co_return Outcome::from_error(account.error());
    if (!*account)
        co_return co_await unknown_user(job, std::move(user));
    std::string mailbox = (*account)->mailbox;
    co_return co_await mailboxes_.deliver(job.request, job.position, **account, std::move(mailbox));
}

Task<Outcome> LocalDelivery::unknown_user(const Job& job, std::string user)
{
    if (settings_.luser_relay.empty())
        co_return Outcome::failed("5.1.1", cat("unknown user: \"", user, '"'));
    std::string relay = expand_relay(settings_.luser_relay, job.local, job.domain, settings_.delimiters);
    if (relay.find('@') == std::string::npos)
        relay = cat(relay, '@', settings_.origin);
    co_return co_await forward(job, std::string(), std::vector<std::string>(1, relay));
}

Task<Outcome> LocalDelivery::forward(const Job& job, std::string owner, std::vector<std::string> addresses)
{
    if (mail::is_probe(job.request.envelope))
        co_return Outcome::deliverable(addresses.size() == 1 ? cat("forwards to ", addresses.front())
                                                             : cat("forwards to ", addresses.size(), " addresses"));
    auto id = co_await forwarder_.forward(job.request, job.position, std::move(owner), std::move(addresses));
    if (!id)
        co_return Outcome::from_error(id.error());
    Outcome outcome(queue::DeliveryStatus::Delivered, "2.0.0", cat("forwarded as ", *id));
    outcome.action = queue::DeliveryAction::Expanded;
    co_return outcome;
}

} // namespace posthouse::local
