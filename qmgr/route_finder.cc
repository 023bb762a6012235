// Where an address goes, see route_finder.h: asked by placement.cc for each recipient.
#include "qmgr/route_finder.h"

#include "lib/base/cat.h"
#include "lib/log/log.h"

#include <utility>

namespace posthouse::qmgr {

namespace {

constexpr Duration remembered_for = Duration::seconds(5);
constexpr size_t most_remembered = 5000;
constexpr Duration between_checks = Duration::seconds(1);

bool depends_on_sender(const config::Config& config, queue::RouteFor purpose)
{
    if (purpose == queue::RouteFor::Probes)
        return !config.text("address_verify_sender_dependent_relayhost_maps").empty() ||
               !config.text("address_verify_sender_dependent_default_transport_maps").empty();
    return !config.text("sender_dependent_relayhost_maps").empty() ||
           !config.text("sender_dependent_default_transport_maps").empty();
}

} // namespace

RouteFinder::RouteFinder(Loop& loop, const config::Config& config, const table::Context& context, queue::RouteFor purpose)
    : loop_(loop), config_(&config), context_(context), purpose_(purpose),
      by_sender_(depends_on_sender(config, purpose)), next_check_(loop.now() + between_checks)
{
}

Result<std::unique_ptr<RouteFinder>> RouteFinder::open(Loop& loop, const config::Config& config,
                                                       const table::Context& context, queue::RouteFor purpose)
{
    std::unique_ptr<RouteFinder> finder(new RouteFinder(loop, config, context, purpose));
    auto router = queue::Router::open(config, context, purpose);
    if (!router)
        return std::move(router.error());
    finder->router_ = std::move(*router);
    return finder;
}

Task<Result<queue::Route>> RouteFinder::find(std::string address, std::string sender)
{
    reopen_when_stale();
    std::string key = by_sender_ ? cat(address, '\n', sender) : address;
    const auto known = remembered_.find(key);
    if (known != remembered_.end() && known->second.until > loop_.now())
        co_return known->second.route;
    const std::shared_ptr<queue::Router> router = router_;
    auto route = co_await router->route(std::move(address), std::move(sender));
    if (!route || router != router_)
        co_return route;
    if (remembered_.size() >= most_remembered)
        remembered_.clear();
    Remembered& entry = remembered_[std::move(key)];
    entry.route = *route;
    entry.until = loop_.now() + remembered_for;
    co_return route;
}

void RouteFinder::forget()
{
    remembered_.clear();
}

void RouteFinder::reopen_when_stale()
{
    if (loop_.now() < next_check_)
        return;
    next_check_ = loop_.now() + between_checks;
    if (!router_->stale())
        return;
    if (auto opened = reopen(*config_, context_); !opened)
        log::warning("routing tables have changed but cannot be opened: ", opened.error().full_text(),
                     "; the old ones stay in use");
    else
        log::info("routing tables have changed: opened anew");
}

Result<void> RouteFinder::reopen(const config::Config& config, const table::Context& context)
{
    auto router = queue::Router::open(config, context, purpose_);
    if (!router)
        return std::move(router.error());
    router_ = std::move(*router);
    config_ = &config;
    context_ = context;
    by_sender_ = depends_on_sender(config, purpose_);
    remembered_.clear();
    return Result<void>();
}

} // namespace posthouse::qmgr
