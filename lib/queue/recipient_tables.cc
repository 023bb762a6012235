// Who exists, see recipient_tables.h: asked by route.cc when smtpd checks a recipient or sender.
#include "lib/queue/recipient_tables.h"

#include "lib/base/ascii.h"
#include "lib/queue/address_text.h"
#include "lib/queue/local_domains.h"

#include <array>
#include <utility>

namespace posthouse::queue {

Result<std::unique_ptr<RecipientTables>> RecipientTables::open(const config::Config& config,
                                                               const table::Context& context,
                                                               LocalDomains& local_domains)
{
    std::unique_ptr<RecipientTables> tables(new RecipientTables);
    struct Row {
        const char* parameter;
        std::unique_ptr<table::AddressMaps>& into;
    };
    const Row rows[] = {
        {"canonical_maps", tables->canonical_},
        {"recipient_canonical_maps", tables->recipient_canonical_},
        {"virtual_alias_maps", tables->virtual_alias_},
        {"local_recipient_maps", tables->local_},
        {"virtual_mailbox_maps", tables->virtual_mailbox_},
        {"relay_recipient_maps", tables->relay_},
    };
    for (const Row& row : rows) {
        auto maps = table::AddressMaps::open(row.parameter, config.text(row.parameter), context,
                                             local_domains.user_name_test());
        if (!maps)
            return std::move(maps.error());
        row.into = std::move(*maps);
    }
    tables->local_code_ = static_cast<int>(config.number("unknown_local_recipient_reject_code"));
    tables->virtual_alias_code_ = static_cast<int>(config.number("unknown_virtual_alias_reject_code"));
    tables->virtual_mailbox_code_ = static_cast<int>(config.number("unknown_virtual_mailbox_reject_code"));
    tables->relay_code_ = static_cast<int>(config.number("unknown_relay_recipient_reject_code"));
    tables->double_bounce_ = config.text("double_bounce_sender");
    tables->delimiters_ = config.text("recipient_delimiter");
    return tables;
}

Task<Result<bool>> RecipientTables::is_rewritten(std::string address)
{
    for (table::AddressMaps* maps : std::array{recipient_canonical_.get(), canonical_.get(), virtual_alias_.get()}) {
        if (maps->empty())
            continue;
        auto found = co_await maps->find(address);
        if (!found)
            co_return std::move(found.error());
        if (*found)
            co_return true;
    }
    co_return false;
}

Task<Result<bool>> RecipientTables::is_listed(std::string address, AddressClass address_class)
{
    table::AddressMaps* maps = nullptr;
    if (address_class == AddressClass::Local)
        maps = local_.get();
    else if (address_class == AddressClass::VirtualMailbox)
        maps = virtual_mailbox_.get();
    else if (address_class == AddressClass::Relay)
        maps = relay_.get();
    if (!maps || maps->empty())
        co_return true;
    if (address_class == AddressClass::Local) {
        // These exist on every host (RFC 5321 section 4.5.1), or are our own.
        std::string local = unquote_local(AddressParts(address).local);
        local.resize(std::min(local.size(), table::find_extension(local, delimiters_)));
        for (const std::string_view name : {std::string_view("postmaster"), std::string_view("mailer-daemon"),
                                            std::string_view(double_bounce_)})
            if (ascii::equal(local, name))
                co_return true;
    }
    auto found = co_await maps->find(std::move(address));
    if (!found)
        co_return std::move(found.error());
    co_return found->has_value();
}

int RecipientTables::reject_code(AddressClass address_class) const
{
    switch (address_class) {
    case AddressClass::Local: return local_code_;
    case AddressClass::VirtualAlias: return virtual_alias_code_;
    case AddressClass::VirtualMailbox: return virtual_mailbox_code_;
    case AddressClass::Relay: return relay_code_;
    case AddressClass::Default: return 550;
    }
    return 550;
}

std::string_view RecipientTables::name_of(AddressClass address_class)
{
    switch (address_class) {
    case AddressClass::Local: return "local recipient";
    case AddressClass::VirtualAlias: return "virtual alias";
    case AddressClass::VirtualMailbox: return "virtual mailbox";
    case AddressClass::Relay: return "relay recipient";
    case AddressClass::Default: return "recipient";
    }
    return "recipient";
}

bool RecipientTables::stale() const
{
    return canonical_->stale() || recipient_canonical_->stale() || virtual_alias_->stale() || local_->stale()
        || virtual_mailbox_->stale() || relay_->stale();
}

} // namespace posthouse::queue
