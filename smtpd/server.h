// Server: what all sessions of one smtpd process share: settings, tables, restrictions, the way into the
// queue, and the counters of clients. Opened once, before privileges drop; outlives the sessions.
#pragma once

#include "lib/base/result.h"
#include "lib/event/loop.h"
#include "lib/queue/content_checks.h"
#include "lib/queue/intake.h"
#include "lib/queue/new_message.h"
#include "lib/queue/rewrite.h"
#include "lib/queue/route.h"
#include "lib/table/maps.h"
#include "lib/table/match_list.h"
#include "smtpd/client_counters.h"
#include "smtpd/restrictions.h"
#include "smtpd/settings.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_set>
#include <vector>

namespace posthouse::net {
class Resolver;
}

namespace posthouse::smtpd {

class Greylist;
class MilterService;
class ProxySettings;
class RejectText;
class SaslService;
class Screening;
class SenderOwners;
class SendingLimits;
class Session;
class TlsService;
class UpstreamProxy;
class Verifier;

struct Server {
    static Result<std::unique_ptr<Server>> open(const config::Config& config, const table::Context& context);
    // All that is wrong with what main.cf says: what open() fails for, and faulty restrictions.
    static std::vector<Error> faults(const config::Config& config, const table::Context& context);

    Server(const config::Config& config, Loop& its_loop);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    net::Resolver& resolver() const { return ask_resolver(); }
    // One of this host's addresses, or one that a proxy has for it.
    bool is_own_address(const net::IpAddress& address) const;
    // Room for one more message (queue_minfree, 1.5 times message_size_limit).
    bool has_room() const;
    // A table was replaced: a new process should read it.
    bool stale() const;
    // Ends the sessions that wait for their clients; the others end after the command at hand.
    void stop_sessions();
    // Later: nor for the rest of a message that does not come to its end.
    void stop_receiving();

    Loop& loop;
    const Settings settings;
    ClientCounters counters;
    bool lmtp = false; // the program is lmtpd. Set before the first session
    // Set before the first session, outlive the last.
    queue::MessageSource* source = nullptr; // gives the messages to be filled
    std::function<net::Resolver&()> ask_resolver;
    std::function<uint64_t()> free_bytes; // empty: not known

    std::unique_ptr<Restrictions> restrictions;
    std::unique_ptr<queue::Router> router;
    std::unique_ptr<queue::IntakeTables> intake_tables;
    std::unique_ptr<queue::ContentRules> content_rules; // null: content is not looked at
    std::unique_ptr<ProxySettings> proxy; // null: mail goes to the queue
    std::unique_ptr<queue::LocalClients> local_clients;
    std::unique_ptr<table::MatchList> mynetworks;
    std::unique_ptr<table::MatchList> xclient_hosts;
    std::unique_ptr<table::MatchList> xforward_hosts;
    std::unique_ptr<table::MatchList> bare_newline_exclusions;
    std::unique_ptr<table::MatchList> rate_limit_exceptions;
    std::unique_ptr<table::MatchList> forbidden_commands;
    std::unique_ptr<table::MatchList> permit_log;         // smtpd_log_access_permit_actions
    std::unique_ptr<table::MatchList> mx_backup_networks; // permit_mx_backup_networks
    std::unique_ptr<table::Maps> rbl_reply_maps;
    std::unique_ptr<table::MatchList> fast_flush_domains;
    std::unique_ptr<table::Maps> discard_ehlo_maps;
    std::unique_ptr<table::Maps> command_filter;
    std::unique_ptr<table::Maps> client_certificates; // relay_clientcerts
    std::unique_ptr<SenderOwners> sender_owners;
    std::unique_ptr<RejectText> reject_text;          // null: refusals are said as they are
    std::unique_ptr<SaslService> sasl;                // null: nobody logs in here
    std::unique_ptr<Screening> screening;             // null: whoever connects is greeted at once
    std::unique_ptr<UpstreamProxy> upstream_proxy;    // null: each connection is its client's own
    std::unique_ptr<Greylist> greylist;               // null: off
    std::unique_ptr<SendingLimits> sending_limits;    // null: none
    std::unique_ptr<TlsService> tls;                  // null: no TLS here. Set before the first session
    std::unique_ptr<MilterService> milters;           // null: none
    std::unique_ptr<Verifier> verifier;
    std::vector<net::IpAddress> own_addresses;
    std::map<std::string, Instant> etrn_sites; // flushed within smtpd_etrn_interval, and when

    std::unordered_set<Session*> sessions; // alive now; each enters and leaves by itself
    bool stopping = false;
};

} // namespace posthouse::smtpd
