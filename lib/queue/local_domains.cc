#include "lib/queue/local_domains.h"

#include "lib/base/ascii.h"

#include <utility>

namespace posthouse::queue {

Result<std::unique_ptr<LocalDomains>> LocalDomains::open(const config::Config& config, const table::Context& context)
{
    auto destinations = table::MatchList::open("mydestination", config.text("mydestination"), false, context);
    if (!destinations)
        return std::move(destinations.error());
    std::unique_ptr<LocalDomains> domains(new LocalDomains);
    domains->destinations_ = std::move(*destinations);
    domains->own_addresses_ = OwnAddresses::from_config(config);
    domains->origin_ = config.text("myorigin");
    return domains;
}

Task<Result<bool>> LocalDomains::contains(std::string domain)
{
    if (own_addresses_.contains_literal(domain))
        co_return true;
    co_return co_await destinations_->matches_domain(std::move(domain));
}

Task<Result<bool>> LocalDomains::is_origin_or_local(std::string domain)
{
    if (ascii::equal(domain, origin_))
        co_return true;
    co_return co_await contains(std::move(domain));
}

table::AddressMaps::LocalTest LocalDomains::user_name_test()
{
    return [this](std::string domain) { return is_origin_or_local(std::move(domain)); };
}

} // namespace posthouse::queue
