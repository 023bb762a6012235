// Delivery to virtual mailboxes: path, uid and gid by tables, no aliases and no accounts.
#pragma once

#include "lib/table/maps.h"
#include "local/mailbox_delivery.h"
#include "local/outcome.h"
#include "local/settings.h"

#include <memory>
#include <optional>
#include <string>

namespace posthouse::local {

class VirtualTables {
public:
    VirtualTables() = default;
    static Result<VirtualTables> open(const config::Config& config, const table::Context& context);
    std::unique_ptr<table::AddressMaps> mailboxes;
    std::unique_ptr<table::AddressMaps> uids;
    std::unique_ptr<table::AddressMaps> gids;
};

class VirtualDelivery final : public RecipientDelivery {
public:
    VirtualDelivery(const Settings& settings, VirtualTables tables, MailboxDelivery mailboxes)
        : settings_(settings), tables_(std::move(tables)), mailboxes_(mailboxes)
    {
    }
    Task<Outcome> deliver(const queue::DeliveryRequest& request, size_t position, const MessageHead& head) override;
    bool stale() const override
    {
        return tables_.mailboxes->stale() || tables_.uids->stale() || tables_.gids->stale();
    }

private:
    Task<Result<uint32_t>> find_id(table::AddressMaps& maps, std::string address, uint32_t least);
    const Settings& settings_;
    VirtualTables tables_;
    MailboxDelivery mailboxes_;
};

// Below `base`; nothing when the path from the table would lead elsewhere. Pure.
std::optional<std::string> virtual_path(std::string_view base, std::string_view path);

} // namespace posthouse::local
