// Delivery to local names: aliases, then the user's mailbox.
#pragma once

#include "lib/table/maps.h"
#include "local/alias_expansion.h"
#include "local/forward.h"
#include "local/mailbox_delivery.h"
#include "local/outcome.h"
#include "local/settings.h"

#include <memory>
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
    Task<Outcome> deliver_alias(const Job& job, std::vector<Destination> destinations);
    Task<Outcome> deliver_one(const Job& job, const Destination& destination);
    Task<Outcome> deliver_user(const Job& job, std::string user);
    Task<Outcome> deliver_file(const Job& job, std::string path);
    Task<Outcome> unknown_user(const Job& job, std::string user);
    Task<Outcome> forward(const Job& job, std::string owner, std::vector<std::string> addresses);
    std::string mailbox_path(const Account& account) const;

    const Settings& settings_;
    std::unique_ptr<table::Maps> aliases_;
    AliasExpander expander_;
    MailboxDelivery mailboxes_;
    Forwarder forwarder_;
};

// luser_relay with $user, $local, $domain, $extension and $recipient filled in. Pure.
std::string expand_relay(std::string_view pattern, const std::string& local, const std::string& domain,
                         std::string_view delimiters);

} // namespace posthouse::local
