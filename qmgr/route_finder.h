// RouteFinder: queue::Router for qmgr: remembers answers for a few seconds, and opens the tables anew when
// a file behind them was replaced, without a restart. A slow table holds up only the message that asks.
#pragma once

#include "lib/base/time.h"
#include "lib/config/config.h"
#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/queue/route.h"
#include "lib/table/table.h"

#include <cstddef>
#include <memory>
#include <string>
#include <unordered_map>

namespace posthouse::qmgr {

class RouteFinder {
public:
    // `config` and what `context` names outlive it.
    static Result<std::unique_ptr<RouteFinder>> open(Loop& loop, const config::Config& config,
                                                     const table::Context& context,
                                                     queue::RouteFor purpose = queue::RouteFor::Mail);

    // An Error is a temporary failure.
    Task<Result<queue::Route>> find(std::string address, std::string sender);

    void forget(); // what is remembered

    // With another configuration, after a reload. On an Error the old tables stay in use.
    Result<void> reopen(const config::Config& config, const table::Context& context);

private:
    RouteFinder(Loop& loop, const config::Config& config, const table::Context& context, queue::RouteFor purpose);
    void reopen_when_stale();

    class Remembered {
    public:
        Remembered() = default;
        queue::Route route;
        Instant until;
    };

    Loop& loop_;
    const config::Config* config_;
    table::Context context_;
    const queue::RouteFor purpose_;
    bool by_sender_; // a sender-dependent map is in use
    std::shared_ptr<queue::Router> router_; // owners: this, and the lookups that began with it
    std::unordered_map<std::string, Remembered> remembered_;
    Instant next_check_;
};

} // namespace posthouse::qmgr
