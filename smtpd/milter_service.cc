// Which milters a session has, see milter_service.h.
#include "smtpd/milter_service.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/log/log.h"
#include "lib/queue/override_options.h"

namespace posthouse::smtpd {

Result<std::unique_ptr<MilterService>> MilterService::open(const std::string& parameter, const std::string& maps,
                                                           const config::Config& config, const table::Context& context,
                                                           std::function<net::Resolver&()> resolver)
{
    const std::vector<std::string> items = config.list(parameter);
    const bool has_maps = !maps.empty() && !config.text(maps).empty();
    // Mail that comes back from a content filter was seen when it first came in.
    if (queue::OverrideOptions(config).no_milters || (items.empty() && !has_maps))
        return std::unique_ptr<MilterService>();
    auto settings = milter::Settings::from_config(config);
    if (!settings)
        return std::move(settings.error());
    std::unique_ptr<MilterService> made(new MilterService(std::move(*settings), *context.loop, std::move(resolver)));
    auto filters = made->settings.parse_list(items);
    if (!filters)
        return std::move(filters.error()).within(parameter);
    made->filters_ = std::move(*filters);
    if (has_maps) {
        auto opened = table::Maps::open(maps, config.text(maps), context);
        if (!opened)
            return std::move(opened.error());
        made->maps_ = std::move(*opened);
    }
    return made;
}

Result<void> MilterService::open_spool(const std::string& directory, ThreadPool& pool)
{
    auto opened = SpoolFile::open(directory, pool);
    if (!opened)
        return std::move(opened.error());
    spool_ = std::move(*opened);
    return {};
}

Task<Result<std::unique_ptr<SessionMilters>>> MilterService::begin(std::string client_address)
{
    milter::FilterList list = filters_;
    if (maps_) {
        auto found = co_await maps_->lookup(client_address);
        if (!found)
            co_return std::move(found.error());
        if (*found && ascii::equal(ascii::trim(**found), "DISABLE")) {
            list.clear();
        } else if (*found) {
            auto own = settings.parse_list(config::split_list(**found));
            if (!own)
                co_return std::move(own.error()).within(cat("smtpd_milter_maps: ", client_address));
            list = std::move(*own);
        }
    }
    if (list.empty())
        co_return std::unique_ptr<SessionMilters>();
    co_return std::make_unique<SessionMilters>(loop_, std::move(list), settings, resolver_);
}

} // namespace posthouse::smtpd
