// Delivery: one request of qmgr from begin to end: kept sessions first, then the hosts of the next hop one
// after the other, until each recipient is settled or nothing is left to try.
#pragma once

#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/event/thread_pool.h"
#include "lib/queue/delivery_protocol.h"
#include "smtp/host_search.h"
#include "smtp/results.h"
#include "smtp/session.h"
#include "smtp/session_cache.h"
#include "smtp/settings.h"

#include <functional>
#include <string>
#include <vector>

namespace posthouse::smtp_client {

class Delivery {
public:
    // `report` gets what is settled while other recipients still wait, so that it is on disk before
    // anything else can go wrong.
    Delivery(Loop& loop, ThreadPool& pool, const Settings& settings, NameService& names, SessionCache& cache,
             const queue::DeliveryRequest& request, std::function<void(queue::RecipientOutcome)> report);

    Task<queue::DeliveryDone> run();
    // No further host is tried; what is under way ends as it may.
    void cancel() { cancelled_ = true; }
    // A host is getting the content, or is about to answer for it: to end now may make a second copy.
    bool sending() const { return results_.sending; }
    // What is being sent comes to its end, nothing else is begun: the rest is qmgr's again.
    void give_up() { results_.given_up = true; }

private:
    Task<void> use_kept_session();
    Task<void> search();
    Task<void> try_hosts(const std::vector<MailHost>& hosts);
    Task<bool> transact(std::unique_ptr<Session> session);
    bool was_tried(const net::SocketAddress& address) const;
    void not_found(const Error& error);
    bool over() const { return cancelled_ || results_.given_up || results_.all_settled(); }
    void report_settled();

    Loop& loop_;
    ThreadPool& pool_;
    const Settings& settings_;
    NameService& names_;
    SessionCache& cache_;
    const queue::DeliveryRequest& request_;
    std::function<void(queue::RecipientOutcome)> report_;
    Results results_;
    std::vector<net::SocketAddress> tried_;
    size_t sessions_ = 0;
    bool deferrable_ = false; // some host or name may do better later
    bool cancelled_ = false;
};

} // namespace posthouse::smtp_client
