// Delivery to local names: aliases, then the user's mailbox.
#pragma once

#include "lib/table/maps.h"
#include "local/alias_expansion.h"
#include "local/forward.h"
#include "local/mailbox_delivery.h"
#include "local/outcome.h"
#include "local/settings.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace posthouse::local {

class LocalDelivery final : public RecipientDelivery {
public:
    LocalDelivery(const Settings& settings, std::unique_ptr<table::Maps> aliases, table::AddressMaps::LocalTest local,
                  MailboxDelivery mailboxes, Forwarder forwarder, ThreadPool& pool);
    Task<Outcome> deliver(const queue::DeliveryRequest& request, size_t position, const MessageHead& head) override;
    bool stale() const override { return aliases_->stale() || forwarder_.stale(); }

private:
    // The message and recipient in hand; valid as long as the delivery.
    struct Job {
        const queue::DeliveryRequest& request;
        size_t position;
        std::string local; // unquoted, lower case
        std::string domain;
    };
    Task<Outcome> deliver_name(const Job& job);
    Task<std::optional<Outcome>> deliver_end(const Job& job, std::string name, std::string end);
    Task<Outcome> deliver_alias(const Job& job, std::vector<Destination> destinations);
    Task<Outcome> deliver_one(const Job& job, const Destination& destination);
    Task<Outcome> deliver_user(const Job& job, std::string user);
    Task<Outcome> unknown_user(const Job& job, std::string user);
    static std::string address_of(const Job& job, const Destination& destination);
    Task<Outcome> forward(const Job& job, std::string owner, std::vector<std::string> addresses);

    const Settings& settings_;
    std::unique_ptr<table::Maps> aliases_;
    AliasExpander expander_;
    MailboxDelivery mailboxes_;
    Forwarder forwarder_;
};

// How a file or command that the alias `name` leads to is addressed, as a local part: "name:/the/file", or
// "name:#checksum" where the text does not go well with addresses. Only an alias that leads there gives such
// an address a meaning, so it gives nobody more than mail to the alias would. Pure.
std::string local_part_of(const std::string& name, const Destination& end);

// luser_relay with $user, $local, $domain, $extension and $recipient filled in. Pure.
std::string expand_relay(std::string_view pattern, const std::string& local, const std::string& domain,
                         std::string_view delimiters);

} // namespace posthouse::local
