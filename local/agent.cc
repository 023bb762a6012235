// local and virtual as programs: see agent.h. The spawner is forked first of all, before any thread or
// table exists; the rest of this process gives root up like any other daemon.
#include "local/agent.h"

#include "lib/base/cat.h"
#include "local/local_delivery.h"
#include "local/spawner.h"
#include "local/virtual_delivery.h"

namespace posthouse::local {

namespace {
constexpr Duration look_at_tables = Duration::seconds(1);
}

AgentProgram::~AgentProgram() = default;

Result<void> AgentProgram::prepare(service::Context& context)
{
    auto settings = Settings::from_config(context.config, mode_);
    if (!settings)
        return std::move(settings.error());
    settings_ = std::move(*settings);
    auto started = start_spawner(settings_);
    if (!started)
        return std::move(started.error());
    spawner_ = std::move(*started);
    return open_tables(context);
}

Result<void> AgentProgram::open_tables(service::Context& context)
{
    const table::Context tables(context.loop, context.pool, context.config);
    if (mode_ == Mode::Virtual) {
        auto opened = VirtualTables::open(context.config, tables);
        if (!opened)
            return std::move(opened.error());
        workers_ = std::make_unique<WorkerPool>(context.loop, std::move(spawner_), settings_.max_idle,
                                                settings_.worker_threads);
        delivery_ = std::make_unique<VirtualDelivery>(settings_, std::move(*opened), MailboxDelivery(settings_, *workers_));
        return Result<void>();
    }
    auto aliases = table::Maps::open("alias_maps", context.config.text("alias_maps"), tables);
    if (!aliases)
        return std::move(aliases.error());
    auto domains = queue::LocalDomains::open(context.config, tables);
    if (!domains)
        return std::move(domains.error());
    auto intake = queue::IntakeTables::open(context.config, tables);
    if (!intake)
        return std::move(intake.error());
    intake_ = std::move(*intake);
    domains_ = std::move(*domains);
    client_ = std::make_unique<queue::QueueClient>(context.loop, context.pool, "private/qmgr", "local",
                                                   queue::QueueClientLimits(context.config));
    workers_ =
        std::make_unique<WorkerPool>(context.loop, std::move(spawner_), settings_.max_idle, settings_.worker_threads);
    delivery_ = std::make_unique<LocalDelivery>(settings_, std::move(*aliases), domains_->user_name_test(),
                                                MailboxDelivery(settings_, *workers_),
                                                Forwarder(settings_, *intake_, *client_, context.pool), context.pool);
    return Result<void>();
}

Result<void> AgentProgram::started(service::Context& context)
{
    context.background.spawn(retire_when_due(context));
    return Result<void>();
}

// When a table was replaced, or the spawner is gone: master starts a new process.
Task<void> AgentProgram::retire_when_due(service::Context& context)
{
    while (workers_->usable() && !delivery_->stale() && !(domains_ && domains_->stale()))
        co_await sleep_for(context.loop, look_at_tables);
    context.retire();
}

Task<void> AgentProgram::serve(service::Context& context, UniqueFd connection, net::SocketAddress, size_t)
{
    AgentSession session(context.loop, context.pool, *delivery_, context.service_name, std::move(connection));
    struct Listed {
        Listed(std::set<AgentSession*>& its_sessions, AgentSession& its_session)
            : sessions(its_sessions), session(its_session)
        {
            sessions.insert(&session);
        }
        ~Listed() { sessions.erase(&session); }
        Listed(const Listed&) = delete;
        Listed& operator=(const Listed&) = delete;
        std::set<AgentSession*>& sessions;
        AgentSession& session;
    };
    const Listed listed(sessions_, session);
    if (context.draining())
        session.drain();
    co_await session.run();
}

void AgentProgram::on_drain(service::Context&)
{
    for (AgentSession* session : sessions_)
        session->drain();
}

bool AgentProgram::idle() const { return !client_ || client_->unfinished() == 0; }

} // namespace posthouse::local
