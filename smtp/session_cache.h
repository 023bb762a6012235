// Sessions that have nothing to do for the moment, by next hop, for the next message there. One that is not
// wanted within smtp_connection_cache_time_limit says QUIT.
#pragma once

#include "lib/event/loop.h"
#include "lib/event/task_group.h"
#include "smtp/session.h"

#include <deque>
#include <memory>
#include <string>

namespace posthouse::smtp_client {

class SessionCache {
public:
    SessionCache(Loop& loop, const Settings& settings);

    // The one used last for this next hop, or null. It may have been closed by its host meanwhile.
    std::unique_ptr<Session> take(const std::string& nexthop);
    // Keeps it, or ends it when it can serve no more.
    void give_back(const std::string& nexthop, std::unique_ptr<Session> session);
    void end(std::unique_ptr<Session> session);
    // No session is kept from now on.
    void close();
    size_t size() const { return kept_.size(); }

private:
    struct Kept {
        std::string nexthop;
        std::unique_ptr<Session> session;
        Instant until;
    };
    static Task<void> say_quit(std::unique_ptr<Session> session);
    bool is_kept(const std::string& nexthop) const;
    void drop_expired();

    Loop& loop_;
    const Settings& settings_;
    bool closed_ = false;
    std::deque<Kept> kept_; // the oldest first
    Timer expiry_;
    TaskGroup ending_;
};

} // namespace posthouse::smtp_client
