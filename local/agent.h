// The program local, or virtual: what both share as children of master.
#pragma once

#include "lib/queue/local_domains.h"
#include "lib/queue/queue_client.h"
#include "lib/service/service.h"
#include "local/agent_session.h"
#include "local/forward.h"
#include "local/settings.h"
#include "local/worker_pool.h"

#include <memory>
#include <set>

namespace posthouse::local {

class AgentProgram final : public service::Program {
public:
    explicit AgentProgram(Mode mode) : mode_(mode) {}
    ~AgentProgram() override;

    Result<void> prepare(service::Context& context) override;
    Result<void> started(service::Context& context) override;
    Task<void> serve(service::Context& context, UniqueFd connection, net::SocketAddress peer, size_t listener) override;
    void on_drain(service::Context& context) override;
    bool idle() const override;

private:
    Result<void> open_tables(service::Context& context);
    Task<void> retire_when_due(service::Context& context);

    const Mode mode_;
    Settings settings_;
    UniqueFd spawner_;
    std::unique_ptr<queue::IntakeTables> intake_;
    std::unique_ptr<queue::LocalDomains> domains_;
    std::unique_ptr<queue::QueueClient> client_;
    std::unique_ptr<WorkerPool> workers_;
    std::unique_ptr<RecipientDelivery> delivery_;
    std::set<AgentSession*> sessions_; // of serve() frames that are alive
};

} // namespace posthouse::local
