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

        // ---- queue
        {"queue_slot_size", Size, "65536", "4096", "1G", Qmgr, "Space that a queue file keeps for the next message, in bytes; larger messages get more for their time."},
        {"queue_pool_size", Number, "500", "0", "1000000", Qmgr, "Most empty queue files that are kept for use again."},
        {"queue_lease_limit", Number, "64", "1", "4096", Smtpd | Pickup | Local, "Most queue files that one process keeps in hand for new messages."},
        {"pickup_retry_time", Time, "30s", "1s", "1h", Pickup, "How long a message in maildrop that could not be taken is left before it is tried again."},

        // ---- milters
        {"milter_header_limit", Size, "1048576", "102400", "1G", Smtpd | Pickup, "Most bytes of a message's whole header where milters see mail: it is kept in memory for them."},

        // ---- local, virtual
        {"mailbox_delivery_threads", Number, "20", "1", "200", Local, "Deliveries that the process of one mailbox owner runs at the same time."},
    };
    return rows;
}

} // namespace posthouse::config
