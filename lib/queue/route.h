// Router: which address class a recipient belongs to, which transport and nexthop it goes to, and
// whether a recipient of ours exists. Used by smtpd (relay control, unknown recipients), qmgr (delivery)
// and sendmail -bv. Lookups may suspend; an Error is a temporary failure (4xx, defer), never "unknown".
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"
#include "lib/event/task.h"
#include "lib/table/table.h"

#include <memory>
#include <string>
#include <string_view>

namespace posthouse::queue {

enum class AddressClass : unsigned char { Local, VirtualAlias, VirtualMailbox, Relay, Default };
std::string_view to_text(AddressClass address_class); // "local", "virtual alias", ...

// Where a recipient goes. For the transports error, retry and discard the nexthop holds the text, which
// may begin with an enhanced status code: ("error", "5.1.1 User unknown").
class Route {
public:
    Route() = default;
    Route(AddressClass the_class, std::string the_transport, std::string the_nexthop, std::string the_recipient);

    AddressClass address_class = AddressClass::Default;
    std::string transport;
    std::string nexthop;
    // The recipient that the agent gets: `u%remote@ours` has become u@remote, our own name is kept.
    std::string recipient;
    // The domain that decided, folded to lower case; empty for an address without one.
    std::string domain;
    // The local part names a further host (u%else@relayed, else!u@relayed, "u@else"@relayed): a relayed
    // domain's server might follow it. smtpd refuses that to strangers unless allow_untrusted_routing is
    // set. (u%else@ours needs no such care: it has become u@else here.)
    bool sender_routed = false;

    bool operator==(const Route&) const = default;
};

class RecipientCheck {
public:
    enum class State : unsigned char { Known, Unknown };
    RecipientCheck() = default;
    RecipientCheck(State the_state, AddressClass the_class, int the_code, std::string the_dsn, std::string the_text);

    State state = State::Known;
    AddressClass address_class = AddressClass::Default;
    // Only when Unknown: 550 (or the unknown_*_recipient_reject_code), "5.1.1" ("4.1.1" for a 4xx code)
    // and "User unknown in local recipient table" (without the table name when
    // show_user_unknown_table_name = no).
    int code = 0;
    std::string dsn;
    std::string text;

    bool operator==(const RecipientCheck&) const = default;
};

// A transport_maps result applied to what would be used otherwise. "transport:nexthop" sets both,
// "transport:" also makes `domain` the nexthop, ":nexthop" leaves the transport, "" and ":" change nothing.
void apply_transport(std::string_view value, std::string_view domain, std::string& transport,
                     std::string& nexthop);

// For probes address_verify_relayhost and its kin stand for relayhost and the others.
enum class RouteFor : unsigned char { Mail, Probes };

class Router {
public:
    static Result<std::unique_ptr<Router>> open(const config::Config& config, const table::Context& context,
                                                RouteFor purpose = RouteFor::Mail);
    ~Router();
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;

    // `address` and `sender` completed (rewrite.h); `sender` may be "" (null).
    Task<Result<Route>> route(std::string address, std::string sender);

    // Of a domain, or an address literal such as "[192.0.2.1]".
    Task<Result<AddressClass>> classify(std::string domain);

    // Whether a recipient or sender of one of our classes exists: canonical and virtual alias maps, then
    // the class's own table; class Default is always Known.
    Task<Result<RecipientCheck>> known_recipient(std::string address);

    bool stale() const;

private:
    Router();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace posthouse::queue
