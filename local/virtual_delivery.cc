// Virtual mailboxes: see virtual_delivery.h.
#include "local/virtual_delivery.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

namespace posthouse::local {

namespace {
constexpr unsigned how_to_search = table::SearchFull | table::SearchNoExtension | table::SearchAtDomain;
}

Result<VirtualTables> VirtualTables::open(const config::Config& config, const table::Context& context)
{
    VirtualTables tables;
    struct Entry {
        const char* parameter;
        std::unique_ptr<table::AddressMaps>& maps;
    };
    for (const Entry& entry : {Entry{"virtual_mailbox_maps", tables.mailboxes}, Entry{"virtual_uid_maps", tables.uids},
                               Entry{"virtual_gid_maps", tables.gids}}) {
        auto maps = table::AddressMaps::open(entry.parameter, config.text(entry.parameter), context, nullptr);
        if (!maps)
            return std::move(maps.error());
        entry.maps = std::move(*maps);
    }
    return tables;
}

std::optional<std::string> virtual_path(std::string_view base, std::string_view path)
{
    for (const std::string_view part : ascii::split(path, "/"))
        if (part == ".." || part.find('\0') != std::string_view::npos)
            return std::nullopt;
    if (path.empty() || path == "/")
        return std::nullopt;
    return cat(base, '/', path);
}

Task<Result<uint32_t>> VirtualDelivery::find_id(table::AddressMaps& maps, std::string address, uint32_t least)
{
    const std::string parameter = maps.maps().parameter();
    auto match = co_await maps.find(address, how_to_search);
    if (!match)
        co_return std::move(match.error());
    if (!*match)
        co_return Error(ErrorKind::Temporary, "4.3.5", cat("recipient ", address, " not found in ", parameter));
    const auto number = ascii::parse_unsigned((*match)->value);
    if (!number || *number < least || *number > UINT32_MAX - 1)
        co_return Error(ErrorKind::Temporary, "4.3.5",
                        cat("recipient ", address, ": bad id \"", (*match)->value, "\" in ", parameter, ": expected a number from ",
                            least, " up"));
    co_return static_cast<uint32_t>(*number);
}

Task<Outcome> VirtualDelivery::deliver(const queue::DeliveryRequest& request, size_t position, const MessageHead& head)
{
    const std::string address = ascii::lower(request.envelope.recipients[position].address);
    if (head.was_delivered_to(address))
        co_return Outcome::failed("5.4.6", cat("mail forwarding loop for ", address));
    auto match = co_await tables_.mailboxes->find(address, how_to_search);
    if (!match)
        co_return Outcome::from_error(match.error());
    if (!*match)
        co_return Outcome::failed("5.1.1", cat("unknown user: \"", address, '"'));
    const auto path = virtual_path(settings_.virtual_base, (*match)->value);
    if (!path)
        co_return Outcome::deferred("4.3.5", cat("bad mailbox path for ", address, ": ", (*match)->value));
    auto uid = co_await find_id(*tables_.uids, address, settings_.minimum_uid);
    if (!uid)
        co_return Outcome::from_error(uid.error());
    constexpr uint32_t least_gid = 1; // which groups of the system are allowed is for the spawner to say
    auto gid = co_await find_id(*tables_.gids, address, least_gid);
    if (!gid)
        co_return Outcome::from_error(gid.error());
    co_return co_await mailboxes_.deliver(request, position, Account::of_ids(*uid, *gid), *path);
}

} // namespace posthouse::local
