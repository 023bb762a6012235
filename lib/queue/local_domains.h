// Which domains are local: those in mydestination, and the address literals of this host. Shared by
// routing, rewriting and expansion (which may look a local user's name up without the domain).
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"
#include "lib/event/task.h"
#include "lib/queue/own_addresses.h"
#include "lib/table/maps.h"
#include "lib/table/match_list.h"

#include <memory>
#include <string>

namespace posthouse::queue {

// Whether the list has the domain in one of its forms: "müller.example" and "xn--mller-kva.example" are one
// domain (IDNA 2008), whichever an administrator or a client has written.
Task<Result<bool>> lists_domain(table::MatchList& list, std::string domain);

class LocalDomains {
public:
    static Result<std::unique_ptr<LocalDomains>> open(const config::Config& config, const table::Context& context);

    Task<Result<bool>> contains(std::string domain);
    // For AddressMaps: $myorigin counts as well. `this` must outlive what it is given to.
    table::AddressMaps::LocalTest user_name_test();
    const OwnAddresses& own_addresses() const { return own_addresses_; }
    bool stale() const { return destinations_->stale(); }

private:
    LocalDomains() = default;
    Task<Result<bool>> is_origin_or_local(std::string domain);

    std::unique_ptr<table::MatchList> destinations_;
    OwnAddresses own_addresses_;
    std::string origin_;
};

} // namespace posthouse::queue
