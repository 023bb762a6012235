// What all sessions share, see server.h: smtpd.cc opens it before the process gives its privileges up, and ends the
// sessions by way of it.
#include "smtpd/server.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/log/log.h"
#include "smtpd/greylist.h"
#include "smtpd/milter_service.h"
#include "smtpd/proxy_filter.h"
#include "smtpd/reject_text.h"
#include "smtpd/sasl_service.h"
#include "smtpd/screening.h"
#include "smtpd/sender_owners.h"
#include "smtpd/sending_limits.h"
#include "smtpd/session.h"
#include "smtpd/tls_service.h"
#include "smtpd/upstream_proxy.h"
#include "smtpd/verifier.h"

#include <algorithm>
#include <ifaddrs.h>
#include <netinet/in.h>

namespace posthouse::smtpd {

namespace {

struct InterfaceListDeleter {
    void operator()(ifaddrs* list) const { freeifaddrs(list); }
};

std::vector<net::IpAddress> interface_addresses()
{
    std::vector<net::IpAddress> found;
    ifaddrs* first = nullptr;
    if (getifaddrs(&first) != 0)
        return found;
    const std::unique_ptr<ifaddrs, InterfaceListDeleter> list(first);
    for (const ifaddrs* at = first; at; at = at->ifa_next) {
        if (!at->ifa_addr)
            continue;
        if (at->ifa_addr->sa_family == AF_INET) {
            const auto* in = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
            found.push_back(net::IpAddress::from_v4(reinterpret_cast<const unsigned char*>(&in->sin_addr)));
        } else if (at->ifa_addr->sa_family == AF_INET6) {
            const auto* in = reinterpret_cast<const sockaddr_in6*>(at->ifa_addr);
            found.push_back(net::IpAddress::from_v6(reinterpret_cast<const unsigned char*>(&in->sin6_addr)));
        }
    }
    return found;
}

// The list parameters.
struct ListParameter {
    const char* parameter;
    std::unique_ptr<table::MatchList> Server::*list;
};
constexpr ListParameter lists[] = {
    {"mynetworks", &Server::mynetworks},
    {"smtpd_authorized_xclient_hosts", &Server::xclient_hosts},
    {"smtpd_authorized_xforward_hosts", &Server::xforward_hosts},
    {"smtpd_forbid_bare_newline_exclusions", &Server::bare_newline_exclusions},
    {"smtpd_client_event_limit_exceptions", &Server::rate_limit_exceptions},
    {"smtpd_forbidden_commands", &Server::forbidden_commands},
    {"smtpd_log_access_permit_actions", &Server::permit_log},
    {"permit_mx_backup_networks", &Server::mx_backup_networks},
    {"fast_flush_domains", &Server::fast_flush_domains},
};

// The parameters that are tables.
struct MapsParameter {
    const char* parameter;
    std::unique_ptr<table::Maps> Server::*maps;
};
constexpr MapsParameter map_lists[] = {
    {"smtpd_discard_ehlo_keyword_address_maps", &Server::discard_ehlo_maps},
    {"relay_clientcerts", &Server::client_certificates},
    {"rbl_reply_maps", &Server::rbl_reply_maps},
    {"smtpd_command_filter", &Server::command_filter},
};

bool matches_parents(const config::Config& config, std::string_view parameter)
{
    const auto names = config.list("parent_domain_matches_subdomains");
    return std::any_of(names.begin(), names.end(), [&](const std::string& n) { return ascii::equal(n, parameter); });
}

// Opens into `into`, or gives the error.
template <class T>
Result<void> keep(std::unique_ptr<T>& into, Result<std::unique_ptr<T>> opened)
{
    if (!opened)
        return std::move(opened.error());
    into = std::move(*opened);
    return Result<void>();
}

} // namespace

Server::Server(const config::Config& config, Loop& its_loop)
    : loop(its_loop),
      settings(config),
      counters(settings.rate_time_unit, settings.ipv4_prefix, settings.ipv6_prefix)
{
}

Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::open(const config::Config& config, const table::Context& context)
{
    auto server = std::make_unique<Server>(config, *context.loop);
    const auto ask = [at = server.get()]() -> net::Resolver& { return at->resolver(); };
    RETURN_IF_ERROR(keep(server->restrictions, Restrictions::open(config, context, ask)));
    RETURN_IF_ERROR(keep(server->router, queue::Router::open(config, context)));
    RETURN_IF_ERROR(keep(server->intake_tables, queue::IntakeTables::open(config, context)));
    RETURN_IF_ERROR(keep(server->content_rules, queue::ContentRules::open(config, context)));
    RETURN_IF_ERROR(keep(server->proxy, ProxySettings::open(config)));
    if (server->proxy && server->proxy->speed_adjust)
        RETURN_IF_ERROR(keep(server->proxy->spool, SpoolFile::open(config.text("queue_directory"), *context.pool)));
    RETURN_IF_ERROR(keep(server->local_clients, queue::LocalClients::open(config, context)));
    for (const ListParameter& row : lists)
        RETURN_IF_ERROR(keep((*server).*row.list,
                             table::MatchList::open(row.parameter, config.text(row.parameter),
                                                    matches_parents(config, row.parameter), context)));
    for (const MapsParameter& row : map_lists)
        RETURN_IF_ERROR(
            keep((*server).*row.maps, table::Maps::open(row.parameter, config.text(row.parameter), context)));
    RETURN_IF_ERROR(keep(server->sender_owners, SenderOwners::open(config, context)));
    RETURN_IF_ERROR(keep(server->reject_text, RejectText::open(config, context)));
    if (SaslService::wanted(config))
        RETURN_IF_ERROR(keep(server->sasl, SaslService::open(config, context, ask)));
    if (Screening::wanted(config))
        RETURN_IF_ERROR(keep(server->screening, Screening::open(config, context, server->mynetworks.get(), ask)));
    if (UpstreamProxy::wanted(config))
        RETURN_IF_ERROR(keep(server->upstream_proxy, UpstreamProxy::open(config, context)));
    if (Greylist::wanted(config))
        RETURN_IF_ERROR(keep(server->greylist, Greylist::open(config, context)));
    if (SendingLimits::wanted(config))
        RETURN_IF_ERROR(keep(server->sending_limits, SendingLimits::open(config, context)));
    RETURN_IF_ERROR(
        keep(server->milters, MilterService::open("smtpd_milters", "smtpd_milter_maps", config, context, ask)));
    if (server->milters)
        RETURN_IF_ERROR(server->milters->open_spool(config.text("queue_directory"), *context.pool));

    server->verifier = std::make_unique<Verifier>(config, *server);
    for (const std::string& word : server->settings.overrides.unknown)
        log::warning("receive_override_options: unknown word: ", word);
    server->own_addresses = interface_addresses();
    for (const std::string& proxy : config.list("proxy_interfaces"))
        if (const auto address = net::IpAddress::parse(proxy))
            server->own_addresses.push_back(*address);
    return server;
}

std::vector<Error> Server::faults(const config::Config& config, const table::Context& context)
{
    std::vector<Error> found;
    const auto look = [&found](auto opened) {
        if (!opened)
            found.push_back(std::move(opened.error()));
    };
    auto restrictions = Restrictions::open(config, context, nullptr);
    if (restrictions)
        found = (*restrictions)->faults();
    look(std::move(restrictions));
    look(queue::Router::open(config, context));
    look(queue::IntakeTables::open(config, context));
    look(queue::ContentRules::open(config, context));
    look(ProxySettings::open(config));
    look(queue::LocalClients::open(config, context));
    for (const ListParameter& row : lists)
        look(table::MatchList::open(row.parameter, config.text(row.parameter), matches_parents(config, row.parameter),
                                    context));
    for (const MapsParameter& row : map_lists)
        look(table::Maps::open(row.parameter, config.text(row.parameter), context));
    look(SenderOwners::open(config, context));
    for (const std::string& word : queue::OverrideOptions(config).unknown)
        found.emplace_back(ErrorKind::Config, cat("receive_override_options: unknown word: ", word));
    look(RejectText::open(config, context));
    if (SaslService::wanted(config))
        look(SaslService::open(config, context, nullptr));
    if (Screening::wanted(config))
        look(Screening::open(config, context, nullptr, nullptr));
    if (UpstreamProxy::wanted(config))
        look(UpstreamProxy::open(config, context));
    if (Greylist::wanted(config))
        look(Greylist::read(config, context));
    if (SendingLimits::wanted(config))
        look(SendingLimits::read(config, context));
    look(MilterService::open("smtpd_milters", "smtpd_milter_maps", config, context, nullptr));
    for (Error& fault : TlsService::faults(config, context))
        found.push_back(std::move(fault));
    return found;
}

bool Server::is_own_address(const net::IpAddress& address) const
{
    return std::find(own_addresses.begin(), own_addresses.end(), address) != own_addresses.end();
}

bool Server::has_room() const
{
    const uint64_t available = free_bytes ? free_bytes() : UINT64_MAX;
    if (available == UINT64_MAX)
        return true;
    if (settings.queue_minfree > 0 && available < static_cast<uint64_t>(settings.queue_minfree))
        return false;
    // Postfix's rule: one and a half of the largest message.
    return available / 3 * 2 >= static_cast<uint64_t>(std::max<int64_t>(0, settings.message_size_limit));
}

bool Server::stale() const
{
    const bool stale_list = std::any_of(std::begin(lists), std::end(lists),
                                        [&](const ListParameter& row) { return (this->*row.list)->stale(); });
    const bool stale_maps = std::any_of(std::begin(map_lists), std::end(map_lists),
                                        [&](const MapsParameter& row) { return (this->*row.maps)->stale(); });
    return stale_list || stale_maps || restrictions->stale() || router->stale() || intake_tables->stale()
           || (content_rules && content_rules->stale()) || local_clients->stale() || sender_owners->stale()
           || (reject_text && reject_text->stale()) || (sasl && sasl->stale()) || (screening && screening->stale())
           || (upstream_proxy && upstream_proxy->stale()) || (greylist && greylist->stale())
           || (sending_limits && sending_limits->stale()) || (milters && milters->stale()) || (tls && tls->stale())
           || verifier->stale();
}

void Server::stop_sessions()
{
    stopping = true;
    for (Session* session : sessions)
        session->stop();
    if (screening)
        screening->stop();
}

void Server::stop_receiving()
{
    for (Session* session : sessions)
        session->stop_receiving();
}

} // namespace posthouse::smtpd
