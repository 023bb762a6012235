// Sessions kept for the next message, see session_cache.h: delivery.cc takes and gives them.
#include "smtp/session_cache.h"

#include <algorithm>

namespace posthouse::smtp_client {

SessionCache::SessionCache(Loop& loop, const Settings& settings)
    : loop_(loop), settings_(settings), expiry_(loop, [this] { drop_expired(); }), ending_(loop)
{
}

std::unique_ptr<Session> SessionCache::take(const std::string& nexthop)
{
    const auto found = std::find_if(kept_.rbegin(), kept_.rend(), [&](const Kept& kept) { return kept.nexthop == nexthop; });
    if (found == kept_.rend())
        return nullptr;
    std::unique_ptr<Session> session = std::move(found->session);
    kept_.erase(std::next(found).base());
    return session;
}

void SessionCache::give_back(const std::string& nexthop, std::unique_ptr<Session> session)
{
    if (closed_ || !is_kept(nexthop) || !session->reusable(loop_.now())) {
        end(std::move(session));
        return;
    }
    kept_.push_back(Kept{nexthop, std::move(session), loop_.now() + settings_.keep_time});
    if (!expiry_.active())
        expiry_.set(kept_.front().until);
}

bool SessionCache::is_kept(const std::string& nexthop) const
{
    const auto& always = settings_.keep_destinations;
    return settings_.keep_connections || std::find(always.begin(), always.end(), nexthop) != always.end();
}

void SessionCache::end(std::unique_ptr<Session> session)
{
    if (!session->broken)
        ending_.spawn(say_quit(std::move(session)));
}

void SessionCache::close()
{
    closed_ = true;
    for (Kept& kept : kept_)
        end(std::move(kept.session));
    kept_.clear();
    expiry_.cancel();
}

Task<void> SessionCache::say_quit(std::unique_ptr<Session> session)
{
    co_await session->quit();
}

void SessionCache::drop_expired()
{
    while (!kept_.empty() && kept_.front().until <= loop_.now()) {
        std::unique_ptr<Session> session = std::move(kept_.front().session);
        kept_.pop_front();
        end(std::move(session));
    }
    if (!kept_.empty())
        expiry_.set(kept_.front().until);
}

} // namespace posthouse::smtp_client
