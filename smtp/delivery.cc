// The main flow of smtp, see delivery.h: the hosts of a destination one after the other, over a connection that is
// still open where there is one, until each recipient has a result. The dialogue with one host is transaction.cc.
#include "smtp/delivery.h"

#include "lib/log/log.h"
#include "smtp/transaction.h"

#include <algorithm>

namespace posthouse::smtp_client {

Delivery::Delivery(Loop& loop, ThreadPool& pool, const Settings& settings, NameService& names, SessionCache& cache,
                   const queue::DeliveryRequest& request, std::function<void(queue::RecipientOutcome)> report)
    : loop_(loop), pool_(pool), settings_(settings), names_(names), cache_(cache), request_(request),
      report_(std::move(report)), results_(loop, request)
{
}

Task<queue::DeliveryDone> Delivery::run()
{
    if (!over())
        co_await use_kept_session();
    if (!over())
        co_await search();
    queue::DeliveryDone done(request_.serial);
    if (!cancelled_ && results_.given_up)
        results_.finish_put_off();
    const bool handed_back = results_.given_up && !results_.all_settled();
    if (!cancelled_ && !handed_back)
        results_.finish();
    done.outcomes = results_.take_new();
    if (handed_back) {
        done.site = queue::SiteStatus::AgentBusy;
    } else if (!results_.site.empty() && !results_.site.permanent) {
        done.site = queue::SiteStatus::SiteFailed;
        done.site_dsn = results_.site.dsn;
        done.site_text = results_.site.text;
    }
    co_return done;
}

// A kept session that its host has closed meanwhile is no failure of the delivery.
Task<void> Delivery::use_kept_session()
{
    while (auto session = cache_.take(request_.nexthop)) {
        const net::SocketAddress address = session->host().address;
        results_.session_ready();
        const bool began = co_await transact(std::move(session));
        if (!began)
            continue;
        tried_.push_back(address);
        ++sessions_;
        co_return;
    }
}

Task<void> Delivery::search()
{
    auto destinations = parse_destinations(request_.nexthop, settings_.lmtp, settings_.port);
    if (!destinations) {
        not_found(destinations.error());
        co_return;
    }
    for (const std::string& relay : settings_.fallback_relays) {
        auto fallback = parse_destination(relay, settings_.lmtp, settings_.port);
        if (fallback)
            destinations->push_back(std::move(*fallback));
    }
    for (const Destination& destination : *destinations) {
        auto hosts = co_await find_hosts(destination, names_, settings_);
        if (hosts)
            co_await try_hosts(*hosts);
        else
            not_found(hosts.error());
        if (over())
            co_return;
    }
}

// A name that does not exist is no verdict while another destination may take the message later.
void Delivery::not_found(const Error& error)
{
    const Trouble trouble(error);
    if (trouble.permanent && deferrable_)
        return;
    deferrable_ = deferrable_ || !trouble.permanent;
    results_.use_relay("none");
    results_.site = trouble;
    results_.note_all(trouble);
}

bool Delivery::was_tried(const net::SocketAddress& address) const
{
    return std::find(tried_.begin(), tried_.end(), address) != tried_.end();
}

Task<void> Delivery::try_hosts(const std::vector<MailHost>& hosts)
{
    // The last attempt uses every host.
    const size_t address_limit = request_.expired_soon ? 0 : settings_.address_limit;
    const size_t session_limit = request_.expired_soon ? 0 : settings_.session_limit;
    size_t addresses = 0;
    for (const MailHost& host : hosts) {
        if (over() || (address_limit > 0 && addresses >= address_limit))
            co_return;
        if (was_tried(host.address))
            continue;
        ++addresses;
        tried_.push_back(host.address);
        auto opened = co_await Session::open(loop_, settings_, host);
        if (!opened.session) {
            if (!opened.trouble.remote_mta.empty())
                log::info(request_.id(), ": ", opened.trouble.text);
            deferrable_ = deferrable_ || !opened.trouble.permanent;
            results_.use_relay(opened.trouble.remote_mta.empty() ? std::string("none") : host.with_port());
            results_.site = opened.trouble;
            results_.note_all(opened.trouble);
            continue;
        }
        results_.session_ready();
        results_.site = Trouble();
        (void)co_await transact(std::move(opened.session)); // a new session has always begun
        if (!over() && !results_.site.empty())
            log::info(request_.id(), ": ", results_.site.text);
        deferrable_ = true;
        if (++sessions_ >= session_limit && session_limit > 0)
            co_return;
    }
}

// False: nothing was sent, the session had been closed by its host.
Task<bool> Delivery::transact(std::unique_ptr<Session> session)
{
    Transaction transaction(*session, settings_, request_, results_, pool_);
    const Transaction::End end = co_await transaction.run();
    if (end == Transaction::End::NeverBegan) {
        results_.site = Trouble();
        co_return false;
    }
    if (session->broken)
        session.reset();
    else
        cache_.give_back(request_.nexthop, std::move(session));
    report_settled();
    co_return true;
}

// While others wait for another host, what is known is told at once.
void Delivery::report_settled()
{
    if (results_.all_settled())
        return; // leaves with the end of the delivery
    for (queue::RecipientOutcome& outcome : results_.take_new())
        report_(std::move(outcome));
}

} // namespace posthouse::smtp_client
