// Parameters of Posthouse's own, which no other mail system has; one section for each program. Whoever
// adds a feature adds its row here (or in the file of its topic, when the name is Postfix's).
#include "lib/config/params.h"

namespace posthouse::config {

std::span<const Parameter> posthouse_parameters()
{
    using enum Kind;
    using namespace use;
    static constexpr Parameter rows[] = {
        // ---- all programs
        {"dns_servers", List, "", "", "", Smtpd | Smtp, "Name servers to ask, as address or address:port; empty for those of resolv.conf."},
        {"dns_trust_ad", Boolean, "no", "", "", Smtpd | Smtp, "Whether the name server's word is taken that an answer was signed."},
        {"dns_cache_size", Number, "10000", "0", "", Smtpd | Smtp, "Most answers that a process remembers."},
        {"thread_pool_size", Number, "4", "1", "64", All, "Threads of a process for what blocks, such as writing to disk; qmgr has twice as many."},

        // ---- smtpd
        {"smtpd_policy_service_connection_limit", Number, "50", "1", "10000", Smtpd, "Most connections of a process to one policy server, each with one request at a time."},

        // ---- queue
        {"queue_slot_size", Size, "65536", "4096", "1G", Qmgr, "Space that a queue file keeps for the next message, in bytes; larger messages get more for their time."},
        {"queue_pool_size", Number, "500", "0", "1000000", Qmgr, "Most empty queue files that are kept for use again."},
        {"queue_lease_limit", Number, "64", "1", "4096", Smtpd | Pickup | Local, "Most queue files that one process keeps in hand for new messages."},
        {"pickup_retry_time", Time, "30s", "1s", "1h", Pickup, "How long a message in maildrop that could not be taken is left before it is tried again."},

        // ---- smtpd
        {"smtpd_etrn_interval", Time, "10s", "0s", "", Smtpd, "Time in which ETRN for the same domain looks through the queue once."},
        {"smtpd_authorized_proxy_hosts", List, "static:all", "", "", Smtpd, "Hosts that have to begin with a PROXY header, and are believed; by default all. Others are clients themselves."},
        {"smtpd_screening_enable", Boolean, "no", "", "", Smtpd, "Whether new clients are tested before they are greeted, as the postscreen_ parameters say; a service whose program is postscreen does so."},

        // ---- limits
        {"smtpd_user_rate_limits", List, "", "", "", Smtpd, "What each user who has logged in may send, as messages:100/1h recipients:1000/1d."},
        {"smtpd_user_rate_limit_maps", Tables, "", "", "", Smtpd, "Tables of users to whom other limits apply, or none."},
        {"smtpd_sender_domain_rate_limits", List, "", "", "", Smtpd, "What each domain of an envelope sender may send, as messages:100/1h recipients:1000/1d."},
        {"smtpd_sender_domain_rate_limit_maps", Tables, "", "", "", Smtpd, "Tables of sender domains to which other limits apply, or none."},
        {"smtpd_rate_limit_action", Choice, "defer", "defer|hold", "", Smtpd, "Whether mail beyond these limits is refused for now, or taken and put on hold."},
        {"smtpd_rate_limit_map", Text, "$default_cache_db_type:$data_directory/rate_limits", "", "", Smtpd, "Where the counts for these limits are kept."},

        // ---- greylisting
        {"smtpd_greylist_enable", Boolean, "no", "", "", Smtpd, "Whether mail of strangers is put off once."},
        {"smtpd_greylist_delay", Time, "300s", "1s", "", Smtpd, "Time after which it is taken."},
        {"smtpd_greylist_retry_window", Time, "2d", "2s", "", Smtpd, "Time within which it has to come again."},
        {"smtpd_greylist_allow_time", Time, "35d", "1d", "", Smtpd, "Time for which what came again is remembered since its last use."},
        {"smtpd_greylist_auto_allow_count", Number, "5", "0", "", Smtpd, "Senders and recipients of a network that came again until none of it is put off any more; 0 for never."},
        {"smtpd_greylist_ipv4_prefix_length", Number, "24", "0", "32", Smtpd, "Bits of an IPv4 address that make one network for greylisting."},
        {"smtpd_greylist_ipv6_prefix_length", Number, "64", "0", "128", Smtpd, "Bits of an IPv6 address that make one network for greylisting."},
        {"smtpd_greylist_client_exceptions", List, "", "", "", Smtpd, "Clients (names, networks, tables) that are never put off."},
        {"smtpd_greylist_recipient_exceptions", List, "postmaster@", "", "", Smtpd, "Recipients (addresses, user@, domains, tables) whose mail is never put off."},
        {"smtpd_greylist_map", Text, "$default_cache_db_type:$data_directory/greylist", "", "", Smtpd, "Where greylisting keeps what it has seen."},
        // ---- milters
        {"milter_header_limit", Size, "1048576", "102400", "1G", Smtpd | Pickup, "Most bytes of a message's whole header where milters see mail: it is kept in memory for them."},

        // ---- local, virtual
        {"mailbox_delivery_threads", Number, "20", "1", "200", Local, "Deliveries that the process of one mailbox owner runs at the same time."},
    };
    return rows;
}

} // namespace posthouse::config
