// ProbeDesk: what is of its own about probes for address verification: their routes, how many may be under way, and where
// their answers go. The scheduler treats a probe as a message in all else, but that it is never tried again.
#pragma once

#include "lib/queue/verify_cache.h"
#include "lib/queue/verify_sender.h"
#include "qmgr/message.h"
#include "qmgr/route_finder.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::qmgr {

class ProbeDesk {
public:
    // `config` and what `context` names outlive it. The routes are opened when the first probe comes, the cache now: when
    // it cannot be, a warning says so, and answers are lost.
    ProbeDesk(Loop& loop, const config::Config& config, const table::Context& context);
    // After a reload. On an Error the old routes stay in use.
    Result<void> reopen(const config::Config& config, const table::Context& context);

    bool has_room() const { return under_way_ < limit_; } // for one more
    void begin() { ++under_way_; }
    void end() { --under_way_; }

    // An Error is a temporary failure.
    Task<Result<queue::Route>> find_route(std::string address, std::string sender);
    // Mail to the address that probes come from.
    bool is_made_up_sender(std::string_view address) const;

    // The outcomes of all recipients that stand for what was asked about.
    void note(const Message& probe, const std::vector<queue::RecipientOutcome>& outcomes);

private:
    void open_cache();

    Loop& loop_;
    const config::Config* config_;
    table::Context context_;
    queue::VerifySender sender_;
    std::unique_ptr<RouteFinder> routes_;       // null before the first probe
    std::unique_ptr<queue::VerifyCache> cache_; // null when it cannot be opened
    size_t limit_;
    size_t under_way_ = 0;
};

} // namespace posthouse::qmgr
