// The tables that list who exists: local_recipient_maps, virtual_mailbox_maps, relay_recipient_maps, and
// the maps that may turn an address into another one. Part of Router.
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"
#include "lib/event/task.h"
#include "lib/queue/route.h"
#include "lib/table/maps.h"

#include <memory>
#include <string>
#include <string_view>

namespace posthouse::queue {

class LocalDomains;

class RecipientTables {
public:
    // `local_domains` must outlive it.
    static Result<std::unique_ptr<RecipientTables>> open(const config::Config& config, const table::Context& context,
                                                         LocalDomains& local_domains);

    // In a canonical or virtual alias map: taken as known, since its result is checked at delivery.
    Task<Result<bool>> is_rewritten(std::string address);
    // In the table of its class; true when the class has none.
    Task<Result<bool>> is_listed(std::string address, AddressClass address_class);

    int reject_code(AddressClass address_class) const; // unknown_*_recipient_reject_code
    static std::string_view name_of(AddressClass address_class); // "local recipient"
    bool stale() const;

private:
    RecipientTables() = default;

    std::unique_ptr<table::AddressMaps> canonical_, recipient_canonical_, virtual_alias_;
    std::unique_ptr<table::AddressMaps> local_, virtual_mailbox_, relay_;
    int local_code_ = 550, virtual_alias_code_ = 550, virtual_mailbox_code_ = 550, relay_code_ = 550;
    std::string double_bounce_;
    std::string delimiters_;
};

} // namespace posthouse::queue
