// Delivery agents that are coroutines of the test, behind a real UNIX socket.
#pragma once

#include "lib/ipc/channel.h"
#include "lib/net/socket.h"
#include "lib/queue/delivery_protocol.h"
#include "t/support/catch.h"

#include <map>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace posthouse::test {

enum class Does { Deliver, FailSite, Die, Hold, SayBusy, DeliverAndLeave, HoldAndLeave };

class Agents {
public:
    Agents(Loop& its_loop, std::string its_path) : loop(its_loop), path(std::move(its_path)), tasks(its_loop)
    {
        auto socket = net::listen_unix(path, 0600, 16);
        REQUIRE(socket);
        listener = std::move(*socket);
        watch = std::make_unique<Watch>(loop, listener.get());
        tasks.spawn(accept_all());
    }
    ~Agents() { ::unlink(path.c_str()); }

    Task<void> accept_all()
    {
        while (true) {
            const int fd = ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (fd < 0)
                (void)co_await watch->readable(Deadline::never());
            else
                tasks.spawn(serve(UniqueFd(fd), connections++));
        }
    }

    Task<void> serve(UniqueFd fd, int which)
    {
        ipc::Channel channel(loop, std::move(fd));
        if (silent)
            co_return;
        REQUIRE(channel.post(queue::AgentHello(1, capacity).to_frame()));
        while (true) {
            auto frame = co_await channel.receive(Deadline::after(Duration::seconds(20)));
            if (!frame)
                co_return;
            if (frame->type == queue::DeliveryCancel::type)
                continue; // too late
            auto request = queue::DeliveryRequest::from_frame(std::move(*frame));
            REQUIRE(request);
            seen.push_back(request->nexthop);
            probes += mail::is_probe(request->envelope) ? request->indexes.size() : 0;
            for (const mail::Recipient& recipient : request->envelope.recipients)
                ++recipients[recipient.address];
            agent_of[request->nexthop] = which;
            const Does what = plan.contains(request->nexthop) ? plan[request->nexthop] : Does::Deliver;
            if (what == Does::Die)
                co_return;
            if (what == Does::DeliverAndLeave || what == Does::HoldAndLeave)
                REQUIRE(channel.post(queue::AgentLeaving().to_frame()));
            if (what == Does::Hold)
                held.emplace_back(&channel, answer(*request, Does::Deliver));
            else if (what != Does::HoldAndLeave)
                REQUIRE(channel.post(answer(*request, what).to_frame()));
        }
    }

    // Delivers all that was held. The connections must still be there.
    void finish_held()
    {
        for (const auto& [channel, done] : held)
            REQUIRE(channel->post(done.to_frame()));
        held.clear();
    }

    queue::DeliveryDone answer(const queue::DeliveryRequest& request, Does what) const
    {
        queue::DeliveryDone done(request.serial);
        if (what == Does::SayBusy)
            done.site = queue::SiteStatus::AgentBusy;
        if (what == Does::FailSite) {
            done.site = queue::SiteStatus::SiteFailed;
            done.site_dsn = "4.4.1";
            done.site_text = "connect: Connection refused";
        }
        for (size_t i = 0; i < request.indexes.size() && (what == Does::Deliver || what == Does::DeliverAndLeave); ++i) {
            const auto reply = replies.find(request.envelope.recipients[i].address);
            queue::RecipientOutcome outcome(0, 0, queue::DeliveryStatus::Delivered, "2.0.0", "ok");
            outcome.action = queue::DeliveryAction::Relayed;
            if (reply != replies.end())
                outcome = reply->second;
            outcome.serial = request.serial;
            outcome.index = request.indexes[i];
            done.outcomes.push_back(outcome);
        }
        return done;
    }

    Loop& loop;
    std::string path;
    UniqueFd listener;
    std::unique_ptr<Watch> watch;
    uint32_t capacity = 100;
    bool silent = false;
    int connections = 0;
    size_t probes = 0; // recipients that were only to be asked about
    std::vector<std::pair<ipc::Channel*, queue::DeliveryDone>> held;
    std::map<std::string, Does> plan;
    std::vector<std::string> seen;       // nexthops, in order
    std::map<std::string, int> recipients; // how often each was asked for
    std::map<std::string, queue::RecipientOutcome> replies; // by recipient, instead of success
    std::map<std::string, int> agent_of;
    TaskGroup tasks;
};

} // namespace posthouse::test
