// local_header_rewrite_clients: see LocalClients in rewrite.h.
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/own_addresses.h"
#include "lib/queue/rewrite.h"
#include "lib/table/maps.h"
#include "lib/table/match_list.h"

#include <utility>
#include <vector>

namespace posthouse::queue {

struct LocalClients::Impl {
    bool interfaces = false;
    bool sasl = false;
    OwnAddresses own;
    std::unique_ptr<table::MatchList> networks; // permit_mynetworks
    std::vector<std::unique_ptr<table::Maps>> tables; // check_address_map

    Result<void> add(const std::string& word, const std::string& argument, const config::Config& config,
                     const table::Context& context);
};

Result<void> LocalClients::Impl::add(const std::string& word, const std::string& argument, const config::Config& config,
                                     const table::Context& context)
{
    if (word == "permit_inet_interfaces") {
        interfaces = true;
    } else if (word == "permit_sasl_authenticated") {
        sasl = true;
    } else if (word == "permit_mynetworks") {
        auto list = table::MatchList::open("mynetworks", config.text("mynetworks"), true, context);
        if (!list)
            return std::move(list.error());
        networks = std::move(*list);
    } else if (word == "check_address_map" || word.find(':') != std::string::npos) {
        const std::string& name = word == "check_address_map" ? argument : word;
        auto maps = table::Maps::open("local_header_rewrite_clients", name, context);
        if (!maps)
            return std::move(maps.error());
        tables.push_back(std::move(*maps));
    } else {
        log::warning("local_header_rewrite_clients: not known, ignored: ", word);
    }
    return {};
}

LocalClients::LocalClients() : impl_(std::make_unique<Impl>()) {}
LocalClients::~LocalClients() = default;

Result<std::unique_ptr<LocalClients>> LocalClients::open(const config::Config& config, const table::Context& context)
{
    std::unique_ptr<LocalClients> clients(new LocalClients);
    clients->impl_->own = OwnAddresses::from_config(config);
    const std::vector<std::string> words = config.list("local_header_rewrite_clients");
    for (size_t i = 0; i < words.size(); ++i) {
        const bool takes_table = words[i] == "check_address_map" && i + 1 < words.size();
        const std::string argument = takes_table ? words[i + 1] : std::string();
        RETURN_IF_ERROR(clients->impl_->add(words[i], argument, config, context));
        if (takes_table)
            ++i;
    }
    return clients;
}

Task<Result<RewriteContext>> LocalClients::context_for(std::string client_name, net::IpAddress client, bool authenticated)
{
    if ((impl_->sasl && authenticated) || (impl_->interfaces && impl_->own.contains(client)))
        co_return RewriteContext::Local;
    if (impl_->networks) {
        auto match = co_await impl_->networks->matches_client(client_name, client);
        if (!match)
            co_return std::move(match.error());
        if (*match)
            co_return RewriteContext::Local;
    }
    const std::string address = client.to_text();
    for (auto& table : impl_->tables) {
        auto match = co_await table->lookup(address);
        if (!match)
            co_return std::move(match.error());
        if (*match)
            co_return RewriteContext::Local;
    }
    co_return RewriteContext::Remote;
}

bool LocalClients::stale() const
{
    for (const auto& table : impl_->tables)
        if (table->stale())
            return true;
    return impl_->networks && impl_->networks->stale();
}

} // namespace posthouse::queue
