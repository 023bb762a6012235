// From a recipient's address to (transport, nexthop), as the address classes, transport_maps and relayhost say: see
// route.h. For qmgr's routing and smtpd's checks of recipients, which therefore agree.
#include "lib/queue/route.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/mail/address.h"
#include "lib/queue/address_text.h"
#include "lib/queue/local_domains.h"
#include "lib/queue/recipient_tables.h"
#include "lib/queue/rewrite.h"
#include "lib/table/maps.h"
#include "lib/table/match_list.h"

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>

namespace posthouse::queue {

namespace {

constexpr int most_routing_operators = 50;
constexpr size_t most_examined_domains = 1000;
constexpr unsigned transport_search =
    table::SearchFull | table::SearchNoExtension | table::SearchDomain | table::SearchParentDomains;

// An address after its local domains and the routing forms behind them have been taken off.
class Resolved {
public:
    Resolved() = default;
    std::string local;
    std::string domain; // "" when the address is one of this host's
    std::string stripped_domain;
    std::string address() const
    {
        const std::string& shown = domain.empty() ? stripped_domain : domain;
        return shown.empty() ? local : cat(local, '@', shown);
    }
};

bool has_routing_operator(std::string_view local, const CompletionRules& rules)
{
    const std::string plain = unquote_local(local);
    return plain.find('@') != std::string::npos || (rules.percent_hack && plain.find('%') != std::string::npos)
        || (rules.swap_bangpath && plain.find('!') != std::string::npos);
}

std::string requoted(const std::string& address)
{
    const AddressParts parts(address);
    if (parts.quoted())
        return address;
    return parts.has_separator ? cat(mail::quote_local(parts.local), '@', parts.domain) : mail::quote_local(parts.local);
}

std::string without_trailing_dot(std::string_view domain)
{
    if (domain.size() > 1 && domain.back() == '.' && domain[domain.size() - 2] != '.')
        domain.remove_suffix(1);
    return ascii::lower(domain);
}

// Good enough to be handed to an agent: the name is looked up, or an address literal.
bool is_plausible_domain(std::string_view domain)
{
    if (domain.empty() || domain.size() > 255)
        return false;
    if (domain.front() == '[')
        return domain.back() == ']' && domain.size() > 2;
    if (domain.front() == '.' || domain.front() == '-' || domain.back() == '.' || domain.back() == '-')
        return false;
    bool dot = false;
    for (const char c : domain) {
        if (!ascii::is_alnum(c) && !ascii::is_8bit(c) && c != '-' && c != '_' && c != '.')
            return false;
        if (c == '.' && dot)
            return false;
        dot = c == '.';
    }
    return true;
}

bool lists_name(const config::Config& config, const char* parameter, std::string_view name)
{
    for (const std::string& item : config.list(parameter))
        if (ascii::equal(item, name))
            return true;
    return false;
}

// "5.1.1 text" -> code, text.
std::pair<std::string, std::string> split_status(std::string_view text, std::string_view otherwise)
{
    const size_t blank = text.find(' ');
    const std::string_view first = text.substr(0, blank);
    const auto parts = ascii::split(first, ".");
    const bool status = first.size() >= 5 && parts.size() == 3 && (parts[0] == "4" || parts[0] == "5")
        && ascii::parse_unsigned(parts[1]) && ascii::parse_unsigned(parts[2]);
    if (!status)
        return {std::string(otherwise), std::string(text)};
    const std::string_view rest = blank == std::string_view::npos ? std::string_view() : ascii::trim(text.substr(blank));
    return {std::string(first), std::string(rest)};
}

} // namespace

std::string_view to_text(AddressClass address_class)
{
    switch (address_class) {
    case AddressClass::Local: return "local";
    case AddressClass::VirtualAlias: return "virtual alias";
    case AddressClass::VirtualMailbox: return "virtual mailbox";
    case AddressClass::Relay: return "relay";
    case AddressClass::Default: return "default";
    }
    return "default";
}

Route::Route(AddressClass the_class, std::string the_transport, std::string the_nexthop, std::string the_recipient)
    : address_class(the_class), transport(std::move(the_transport)), nexthop(std::move(the_nexthop)),
      recipient(std::move(the_recipient))
{
}

RecipientCheck::RecipientCheck(State the_state, AddressClass the_class, int the_code, std::string the_dsn,
                               std::string the_text)
    : state(the_state), address_class(the_class), code(the_code), dsn(std::move(the_dsn)), text(std::move(the_text))
{
}

void apply_transport(std::string_view value, std::string_view domain, std::string& transport, std::string& nexthop)
{
    const size_t colon = value.find(':');
    const std::string_view new_transport = ascii::trim(value.substr(0, colon));
    const std::string_view new_nexthop =
        colon == std::string_view::npos ? std::string_view() : ascii::trim(value.substr(colon + 1));
    if (!new_transport.empty())
        transport = new_transport;
    if (!new_nexthop.empty())
        nexthop = new_nexthop;
    else if (!new_transport.empty())
        nexthop = domain;
}

struct Router::Impl {
    CompletionRules rules;
    std::string hostname;
    std::string local_transport, virtual_transport, relay_transport, default_transport;
    std::string relayhost;
    std::string null_key_for_relayhost, null_key_for_transport; // what the null sender is looked up as
    bool show_table_names = true;
    bool resolve_dequoted = true;
    bool allow_hyphen_first = false; // allow_min_user

    std::unique_ptr<LocalDomains> local_domains;
    std::unique_ptr<table::MatchList> virtual_alias_domains, virtual_mailbox_domains, relay_domains;
    std::unique_ptr<table::AddressMaps> transport_maps, relocated_maps;
    std::unique_ptr<table::AddressMaps> sender_relayhost, sender_transport;
    std::unique_ptr<RecipientTables> recipient_tables;

    Result<void> open(const config::Config& config, const table::Context& context, RouteFor purpose);
    Task<Result<Resolved>> resolve(std::string address);
    Task<Result<void>> choose_transport(const Resolved& resolved, std::string sender, Route& route);
    Task<Result<void>> choose_remote(const Resolved& resolved, std::string sender, Route& route);
    Task<Result<void>> apply_tables(Route& route);
    std::string unknown_text(std::string_view table_name) const;
    Task<Result<AddressClass>> classify_remote(std::string domain);
    Task<void> warn_listed_twice(std::string domain);

    std::unordered_set<std::string> examined_domains; // local ones, by warn_listed_twice
};

namespace {

// The parameters that probes have of their own.
struct RouteParameters {
    const char* local_transport;
    const char* virtual_transport;
    const char* relay_transport;
    const char* default_transport;
    const char* relayhost;
    const char* transport_maps;
    const char* sender_relayhost;
    const char* sender_transport;
};
constexpr RouteParameters for_mail = {
    "local_transport", "virtual_transport", "relay_transport", "default_transport", "relayhost", "transport_maps",
    "sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps",
};
constexpr RouteParameters for_probes = {
    "address_verify_local_transport",
    "address_verify_virtual_transport",
    "address_verify_relay_transport",
    "address_verify_default_transport",
    "address_verify_relayhost",
    "address_verify_transport_maps",
    "address_verify_sender_dependent_relayhost_maps",
    "address_verify_sender_dependent_default_transport_maps",
};

} // namespace

Result<void> Router::Impl::open(const config::Config& config, const table::Context& context, RouteFor purpose)
{
    const RouteParameters& names = purpose == RouteFor::Probes ? for_probes : for_mail;
    rules = CompletionRules::from_config(config);
    hostname = config.text("myhostname");
    local_transport = config.text(names.local_transport);
    virtual_transport = config.text(names.virtual_transport);
    relay_transport = config.text(names.relay_transport);
    default_transport = config.text(names.default_transport);
    relayhost = config.text(names.relayhost);
    null_key_for_relayhost = config.text("empty_address_relayhost_maps_lookup_key");
    null_key_for_transport = config.text("empty_address_default_transport_maps_lookup_key");
    show_table_names = config.boolean("show_user_unknown_table_name");
    resolve_dequoted = config.boolean("resolve_dequoted_address");
    allow_hyphen_first = config.boolean("allow_min_user");

    auto domains = LocalDomains::open(config, context);
    if (!domains)
        return std::move(domains.error());
    local_domains = std::move(*domains);

    const auto open_list = [&](const char* name, std::unique_ptr<table::MatchList>& into) -> Result<void> {
        const bool parents = lists_name(config, "parent_domain_matches_subdomains", name);
        auto list = table::MatchList::open(name, config.text(name), parents, context);
        if (!list)
            return std::move(list.error());
        into = std::move(*list);
        return {};
    };
    const auto open_maps = [&](const char* name, std::unique_ptr<table::AddressMaps>& into) -> Result<void> {
        auto maps = table::AddressMaps::open(name, config.text(name), context, local_domains->user_name_test());
        if (!maps)
            return std::move(maps.error());
        into = std::move(*maps);
        return {};
    };
    RETURN_IF_ERROR(open_list("virtual_alias_domains", virtual_alias_domains));
    RETURN_IF_ERROR(open_list("virtual_mailbox_domains", virtual_mailbox_domains));
    RETURN_IF_ERROR(open_list("relay_domains", relay_domains));
    RETURN_IF_ERROR(open_maps(names.transport_maps, transport_maps));
    RETURN_IF_ERROR(open_maps("relocated_maps", relocated_maps));
    RETURN_IF_ERROR(open_maps(names.sender_relayhost, sender_relayhost));
    RETURN_IF_ERROR(open_maps(names.sender_transport, sender_transport));

    auto tables = RecipientTables::open(config, context, *local_domains);
    if (!tables)
        return std::move(tables.error());
    recipient_tables = std::move(*tables);
    return {};
}

// Takes local domains off, and follows the routing forms behind them, until what remains is a user of
// this host or an address elsewhere. Each turn uses up one operator; what has more of them than anybody
// needs is left as the name of a local user, who does not exist.
Task<Result<Resolved>> Router::Impl::resolve(std::string address)
{
    Resolved resolved;
    for (int turn = 0; turn < most_routing_operators; ++turn) {
        const AddressParts parts(address);
        const std::string domain = without_trailing_dot(parts.domain);
        resolved.local = parts.local;
        if (!domain.empty()) {
            auto ours = co_await local_domains->contains(domain);
            if (!ours)
                co_return std::move(ours.error());
            if (!*ours) {
                resolved.domain = domain;
                co_return resolved;
            }
            resolved.stripped_domain = domain;
        }
        const bool quoted = parts.quoted();
        if ((quoted && !resolve_dequoted) || !has_routing_operator(parts.local, rules))
            co_return resolved;
        address = requoted(complete_address(unquote_local(resolved.local), rules));
    }
    co_return resolved;
}

Task<Result<AddressClass>> Router::Impl::classify_remote(std::string domain)
{
    auto alias = co_await lists_domain(*virtual_alias_domains, domain);
    if (!alias)
        co_return std::move(alias.error());
    if (*alias)
        co_return AddressClass::VirtualAlias;
    auto mailbox = co_await lists_domain(*virtual_mailbox_domains, domain);
    if (!mailbox)
        co_return std::move(mailbox.error());
    if (*mailbox)
        co_return AddressClass::VirtualMailbox;
    auto relay = co_await lists_domain(*relay_domains, domain);
    if (!relay)
        co_return std::move(relay.error());
    co_return *relay ? AddressClass::Relay : AddressClass::Default;
}

// A common slip: a domain in mydestination and in another class. The first counts; the administrator
// should know. Once for each domain and process.
Task<void> Router::Impl::warn_listed_twice(std::string domain)
{
    if (domain.empty() || examined_domains.size() >= most_examined_domains || !examined_domains.insert(domain).second)
        co_return;
    auto other = co_await classify_remote(domain);
    if (!other)
        co_return; // the tables will speak for themselves
    const char* parameter = nullptr;
    if (*other == AddressClass::VirtualAlias)
        parameter = "virtual_alias_domains";
    else if (*other == AddressClass::VirtualMailbox)
        parameter = "virtual_mailbox_domains";
    if (parameter)
        log::warning("do not list domain ", domain, " in BOTH mydestination and ", parameter);
}

std::string Router::Impl::unknown_text(std::string_view table_name) const
{
    return show_table_names ? cat("User unknown in ", table_name, " table") : std::string("User unknown");
}

Task<Result<void>> Router::Impl::choose_remote(const Resolved& resolved, std::string sender, Route& route)
{
    std::string transport = relay_transport;
    if (route.address_class == AddressClass::Default) {
        transport = default_transport;
        const std::string& key = sender.empty() ? null_key_for_transport : sender;
        auto own = co_await sender_transport->find(key);
        if (!own)
            co_return std::move(own.error());
        if (*own && !ascii::equal((*own)->value, "DUNNO"))
            transport = (*own)->value;
    }
    route.nexthop = relayhost.empty() ? resolved.domain : relayhost;
    const std::string& relay_key = sender.empty() ? null_key_for_relayhost : sender;
    auto relay = co_await sender_relayhost->find(relay_key);
    if (!relay)
        co_return std::move(relay.error());
    if (*relay && !ascii::equal((*relay)->value, "DUNNO"))
        route.nexthop = (*relay)->value;
    // A nexthop in the transport's own value comes before the relay host.
    const size_t colon = transport.find(':');
    route.transport = transport.substr(0, colon);
    if (colon != std::string::npos && colon + 1 < transport.size())
        route.nexthop = transport.substr(colon + 1);
    co_return Result<void>();
}

Task<Result<void>> Router::Impl::choose_transport(const Resolved& resolved, std::string sender, Route& route)
{
    switch (route.address_class) {
    case AddressClass::Local:
        apply_transport(local_transport, hostname, route.transport, route.nexthop);
        break;
    case AddressClass::VirtualAlias:
        route.transport = "error";
        route.nexthop = cat("5.1.1 ", unknown_text("virtual alias"));
        break;
    case AddressClass::VirtualMailbox:
        apply_transport(virtual_transport, resolved.domain, route.transport, route.nexthop);
        break;
    case AddressClass::Relay:
    case AddressClass::Default:
        co_return co_await choose_remote(resolved, std::move(sender), route);
    }
    co_return Result<void>();
}

Task<Result<void>> Router::Impl::apply_tables(Route& route)
{
    if (!relocated_maps->empty()) {
        auto moved = co_await relocated_maps->find(route.recipient);
        if (!moved)
            co_return std::move(moved.error());
        if (*moved) {
            route.transport = "error";
            route.nexthop = cat("5.1.6 User has moved to ", (*moved)->value);
            co_return Result<void>();
        }
    }
    if (transport_maps->empty() || route.address_class == AddressClass::VirtualAlias)
        co_return Result<void>();
    auto found = co_await transport_maps->find(route.recipient, transport_search);
    if (!found)
        co_return std::move(found.error());
    if (*found) {
        apply_transport((*found)->value, route.domain, route.transport, route.nexthop);
        co_return Result<void>();
    }
    auto wildcard = co_await transport_maps->maps().lookup_partial("*");
    if (!wildcard)
        co_return std::move(wildcard.error());
    if (*wildcard)
        apply_transport(**wildcard, route.domain, route.transport, route.nexthop);
    co_return Result<void>();
}

Router::Router() : impl_(std::make_unique<Impl>()) {}
Router::~Router() = default;

Result<std::unique_ptr<Router>> Router::open(const config::Config& config, const table::Context& context,
                                             RouteFor purpose)
{
    std::unique_ptr<Router> router(new Router);
    RETURN_IF_ERROR(router->impl_->open(config, context, purpose));
    return router;
}

Task<Result<Route>> Router::route(std::string address, std::string sender)
{
    auto resolved = co_await impl_->resolve(std::move(address));
    if (!resolved)
        co_return std::move(resolved.error());
    Route route;
    route.recipient = resolved->address();
    if (resolved->domain.empty()) {
        route.address_class = AddressClass::Local;
        route.domain = resolved->stripped_domain;
        co_await impl_->warn_listed_twice(route.domain);
    } else {
        auto remote = co_await impl_->classify_remote(resolved->domain);
        if (!remote)
            co_return std::move(remote.error());
        route.address_class = *remote;
        route.domain = resolved->domain;
        route.sender_routed = has_routing_operator(resolved->local, impl_->rules);
        if (!is_plausible_domain(resolved->domain)) {
            route.transport = "error";
            route.nexthop = "5.1.3 Bad destination domain syntax";
            co_return route;
        }
    }
    // A command that is given the address could take it for an option.
    if (!impl_->allow_hyphen_first && unquote_local(resolved->local).starts_with('-')) {
        route.transport = "error";
        route.nexthop = "5.1.3 Bad address syntax: it begins with a hyphen";
        co_return route;
    }
    CO_CHECK(co_await impl_->choose_transport(*resolved, std::move(sender), route));
    CO_CHECK(co_await impl_->apply_tables(route));
    co_return route;
}

Task<Result<AddressClass>> Router::classify(std::string domain)
{
    const std::string folded = without_trailing_dot(domain);
    auto ours = co_await impl_->local_domains->contains(folded);
    if (!ours)
        co_return std::move(ours.error());
    if (*ours)
        co_return AddressClass::Local;
    co_return co_await impl_->classify_remote(folded);
}

Task<Result<RecipientCheck>> Router::known_recipient(std::string address)
{
    auto found = co_await route(address, std::string());
    if (!found)
        co_return std::move(found.error());
    const AddressClass its_class = found->address_class;
    auto rewritten = co_await impl_->recipient_tables->is_rewritten(found->recipient);
    if (!rewritten)
        co_return std::move(rewritten.error());
    if (*rewritten)
        co_return RecipientCheck(RecipientCheck::State::Known, its_class, 0, std::string(), std::string());
    if (found->transport == "error" || found->transport == "retry") {
        auto [dsn, text] = split_status(found->nexthop, found->transport == "error" ? "5.0.0" : "4.0.0");
        const int code = its_class == AddressClass::VirtualAlias
            ? impl_->recipient_tables->reject_code(its_class)
            : (dsn.front() == '4' ? 450 : 550);
        if (code < 500)
            dsn.front() = '4';
        co_return RecipientCheck(RecipientCheck::State::Unknown, its_class, code, std::move(dsn), std::move(text));
    }
    auto listed = co_await impl_->recipient_tables->is_listed(found->recipient, its_class);
    if (!listed)
        co_return std::move(listed.error());
    if (*listed)
        co_return RecipientCheck(RecipientCheck::State::Known, its_class, 0, std::string(), std::string());
    const int code = impl_->recipient_tables->reject_code(its_class);
    const char* dsn = code >= 500 ? "5.1.1" : "4.1.1";
    std::string text = impl_->unknown_text(RecipientTables::name_of(its_class));
    co_return RecipientCheck(RecipientCheck::State::Unknown, its_class, code, std::string(dsn), std::move(text));
}

bool Router::stale() const
{
    const Impl& i = *impl_;
    const auto list_stale = [](const auto& list) { return list->stale(); };
    return i.local_domains->stale() || list_stale(i.virtual_alias_domains) || list_stale(i.virtual_mailbox_domains)
        || list_stale(i.relay_domains) || list_stale(i.transport_maps) || list_stale(i.relocated_maps)
        || list_stale(i.sender_relayhost) || list_stale(i.sender_transport) || i.recipient_tables->stale();
}

} // namespace posthouse::queue
