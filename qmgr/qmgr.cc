/*
NAME
    qmgr - the queue manager
SYNOPSIS
    qmgr [generic daemon options]
DESCRIPTION
    qmgr owns the mail queue and schedules delivery. It hands out queue files to smtpd(8), pickup(8) and
    local(8) to write messages into, hears from them of each message that is complete, resolves each
    recipient to a transport and a next hop, and passes the message to a delivery agent. It records what
    becomes of each recipient, tells the sender what failed, and decides when the rest is tried again.

    Up to qmgr_message_active_limit messages are in memory at a time. Everything else waits in the queue
    files and in an index of them, waiting.lmdb in data_directory, which is made anew when it is missing.

    Each destination (a transport and a next hop) has a window of concurrent deliveries that opens with
    success and closes with failure to reach it, and is left alone for minimal_backoff_time when nothing
    gets through. Deliveries of different messages and destinations take turns, so that neither a mailing to
    many recipients nor a slow destination delays other mail.

    A message that cannot be delivered now waits for as long as it is old, between minimal_backoff_time
    and maximal_backoff_time, and is returned after maximal_queue_lifetime (bounce_queue_lifetime when
    its sender is null). The transports error:, retry: and discard: need no agent.

    Probes (of sendmail -bv, and of smtpd's reject_unverified_sender and reject_unverified_recipient) are tried
    once, up to RCPT; the answers go to their sender, or to address_verify_map. At most a quarter of the active
    messages are probes of smtpd, or address_verify_pending_request_limit.

    qmgr listens on private/qmgr for those who put mail into the queue, and on public/qmgr for the
    commands mailq(1), postqueue(1), postsuper(1) and posthouse(1). A listing ends with what waits in maildrop for
    pickup(8).
SECURITY
    qmgr runs as the mail owner, not in a chroot. It reads only what Posthouse itself has written, except
    for the head of a message that it returns to its sender, and the files in maildrop that it lists. It opens no
    network connection.
DIAGNOSTICS
    Problems and transactions are logged. A damaged queue file is moved to corrupt/ with a line that says
    why. A transport that does not answer is logged and left alone for transport_retry_time.

    While its file system is full, qmgr goes on delivering; new mail is refused for now. What it cannot read or
    write in the queue is logged once and tried again.
SEE ALSO
    smtp(8), local(8), pickup(8), smtpd(8), master(8), postqueue(1), postsuper(1), main.cf(5)
*/
#include "lib/base/cat.h"
#include "lib/config/master_cf.h"
#include "lib/ipc/channel.h"
#include "lib/log/log.h"
#include "lib/queue/control_protocol.h"
#include "lib/queue/lease_desk.h"
#include "lib/queue/lease_protocol.h"
#include "lib/queue/slot_files.h"
#include "lib/service/peer.h"
#include "lib/service/service.h"
#include "qmgr/control_desk.h"
#include "qmgr/notice_writer.h"
#include "qmgr/operator_rights.h"
#include "qmgr/probe_desk.h"
#include "qmgr/scheduler.h"

#include <csignal>
#include <memory>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <utility>

namespace posthouse::qmgr {

namespace {

// An orphaned queue manager has mostly ended by then, and whoever waits for the start finds the queue open.
constexpr Duration start_patience = Duration::seconds(2);
constexpr Duration lock_retry = Duration::milliseconds(50);
constexpr Duration space_retry = Duration::seconds(1);
constexpr Duration client_time = Duration::seconds(100);

constexpr std::string_view no_space = "4.3.1";
constexpr std::string_view queue_is_taken = "4.3.2"; // by another queue manager

bool may_pass(const Error& why) { return why.dsn() == no_space || why.dsn() == queue_is_taken; }

// Which of its two sockets a connection came in on.
bool is_private(int connection)
{
    sockaddr_un address{};
    socklen_t length = sizeof address;
    if (::getsockname(connection, reinterpret_cast<sockaddr*>(&address), &length) != 0)
        return false;
    const std::string_view path(address.sun_path);
    return path.ends_with("private/qmgr");
}

} // namespace

class QmgrProgram final : public service::Program {
public:
    Result<void> prepare(service::Context& context) override;
    Result<void> started(service::Context& context) override;
    Task<void> serve(service::Context& context, UniqueFd connection, net::SocketAddress peer, size_t listener) override;
    void on_drain(service::Context& context) override;
    void on_end(service::Context& context) override;
    bool idle() const override;

private:
    Result<void> open_queue(service::Context& context, Duration patience);
    Task<void> open_when_possible(service::Context& context, Error why);
    Task<void> refuse(std::unique_ptr<ipc::Channel> channel);
    Task<void> find_messages(service::Context& context);
    Task<void> leave_when_quiet(service::Context& context);
    void reload(service::Context& context);

    Settings settings_;
    // After a reload the tables refer to the newer one; the older one is kept for lookups that run.
    std::unique_ptr<config::Config> reloaded_;
    std::unique_ptr<config::Config> reloaded_before_;
    std::unique_ptr<RouteFinder> routes_;
    std::unique_ptr<ProbeDesk> probes_;
    OperatorRights rights_;
    std::unique_ptr<WaitingIndex> index_;
    UniqueFd lock_;                         // of the queue, until the pool has it
    std::unique_ptr<queue::SlotPool> pool_; // null while there is no space for the queue, or another has it
    std::string no_queue_;                  // why
    bool is_taken_ = false;                 // by another, then
    std::unique_ptr<NoticeWriter> notices_;
    std::unique_ptr<queue::LeaseDesk> leases_;
    std::unique_ptr<Scheduler> scheduler_; // its tasks use the others: it goes first
    std::unique_ptr<ControlDesk> control_;
    bool by_root_ = false;
    bool leaving_ = false;
};

Result<void> QmgrProgram::prepare(service::Context& context)
{
    auto settings = Settings::from_config(context.config);
    if (!settings)
        return std::move(settings.error());
    settings_ = std::move(*settings);
    by_root_ = context.privileged(); // still, before they are dropped
    auto routes = RouteFinder::open(context.loop, context.config, table::Context(context.loop, context.pool, context.config));
    if (!routes)
        return std::move(routes.error());
    routes_ = std::move(*routes);
    probes_ = std::make_unique<ProbeDesk>(context.loop, context.config,
                                          table::Context(context.loop, context.pool, context.config));
    return Result<void>();
}

Result<void> QmgrProgram::started(service::Context& context)
{
    auto opened = open_queue(context, start_patience);
    if (!opened && !may_pass(opened.error()))
        return opened;
    context.loop.on_signal(SIGHUP, [this, &context] { reload(context); });
    if (opened)
        context.background.spawn(find_messages(context));
    else
        context.background.spawn(open_when_possible(context, std::move(opened.error())));
    return Result<void>();
}

Result<void> QmgrProgram::open_queue(service::Context& context, Duration patience)
{
    // Before the index: an orphaned queue manager may still write to both.
    if (!lock_) {
        auto lock = queue::SlotFiles(settings_.queue_directory).lock_queue(patience);
        if (!lock)
            return std::move(lock.error());
        lock_ = std::move(*lock);
    }
    auto index = WaitingIndex::open(context.loop, settings_.data_directory);
    if (!index)
        return std::move(index.error());
    auto scheduler = std::make_unique<Scheduler>(context.loop, settings_, *routes_, *probes_, **index);
    auto pool = queue::SlotPool::open(context.loop, context.pool, settings_.queue_directory, settings_.pool, *scheduler,
                                      nullptr, std::move(lock_));
    if (!pool)
        return std::move(pool.error());
    auto notices = std::make_unique<NoticeWriter>(context.pool, **pool, settings_);
    RETURN_IF_ERROR(notices->open_tables(context.config, table::Context(context.loop, context.pool, context.config)));
    index_ = std::move(*index);
    pool_ = std::move(*pool);
    notices_ = std::move(notices);
    scheduler_ = std::move(scheduler);
    leases_ = std::make_unique<queue::LeaseDesk>(*pool_);
    RETURN_IF_ERROR(rights_.open(context.config, table::Context(context.loop, context.pool, context.config)));
    control_ = std::make_unique<ControlDesk>(context.loop, context.pool, *scheduler_, *routes_, rights_,
                                             settings_.queue_directory, by_root_);
    scheduler_->attach(*pool_, *notices_);
    return Result<void>();
}

// A full file system is not a reason to go away: whoever asks is told, and it goes on when there is space. Nor is an
// orphaned queue manager that finishes its last deliveries: it ends by its stop_deadline.
Task<void> QmgrProgram::open_when_possible(service::Context& context, Error why)
{
    while (!pool_) {
        is_taken_ = why.dsn() == queue_is_taken;
        if (no_queue_ != why.full_text()) {
            no_queue_ = why.full_text();
            if (is_taken_)
                log::info("waiting: ", no_queue_);
            else
                log::error("waiting for space: ", no_queue_);
        }
        const Duration pause = is_taken_ ? lock_retry : space_retry;
        co_await sleep_for(context.loop, pause);
        auto opened = open_queue(context, Duration());
        if (!opened && !may_pass(opened.error())) {
            log::error(opened.error().full_text());
            context.finish(1);
            co_return;
        }
        if (!opened)
            why = std::move(opened.error());
    }
    log::info(is_taken_ ? "the queue is free now" : "there is space for the queue now");
    co_await find_messages(context);
}

// Answers while there is no queue. The connection ends when there is one: who wants more comes again.
Task<void> QmgrProgram::refuse(std::unique_ptr<ipc::Channel> channel)
{
    while (!pool_) {
        auto frame = co_await channel->receive(Deadline::after(client_time));
        if (!frame || pool_)
            co_return;
        queue::ControlEnd end;
        end.ok = false;
        end.text = no_queue_;
        const queue::LeaseRefused refusal("4.3.1", "Insufficient system storage");
        const bool is_lease = frame->type == queue::LeaseRequest::type;
        if (is_private(channel->fd()) && !is_lease)
            continue; // a greeting, or leases from before: looked into at the scan
        if (!channel->post(is_lease ? refusal.to_frame() : end.to_frame()))
            co_return;
    }
}

Task<void> QmgrProgram::find_messages(service::Context& context)
{
    auto scanned = co_await pool_->scan();
    if (!scanned) {
        log::error("the queue cannot be read: ", scanned.error().full_text());
        context.finish(1);
        co_return;
    }
    scheduler_->scan_ended();
}

Task<void> QmgrProgram::serve(service::Context& context, UniqueFd connection, net::SocketAddress, size_t)
{
    const bool for_leases = is_private(connection.get());
    if (for_leases && !service::is_own_peer(connection.get())) {
        log::warning("connection to private/qmgr refused: it comes from a stranger");
        co_return;
    }
    while (!pool_ && is_taken_) // soon over: who asks waits as well
        co_await sleep_for(context.loop, lock_retry);
    auto channel = std::make_unique<ipc::Channel>(context.loop, std::move(connection));
    if (!pool_)
        co_await refuse(std::move(channel));
    else if (for_leases)
        co_await leases_->serve(std::move(channel));
    else
        co_await control_->serve(std::move(channel));
}

// A new configuration is taken over by the running process: a successor would have to wait for the last
// delivery of this one, and all mail with it.
void QmgrProgram::reload(service::Context& context)
{
    const std::string& directory = context.config.directory();
    std::vector<config::Fault> faults;
    auto services = config::load_master_cf(directory, context.config, faults);
    config::Overrides overrides;
    if (services)
        for (const config::Service& service : *services)
            if (service.name == context.service_name && service.type == config::ServiceType::Unix)
                overrides = service.overrides;
    auto loaded = config::Config::load(directory, overrides, faults);
    auto settings = loaded ? Settings::from_config(**loaded) : Result<Settings>(loaded.error());
    Result<void> opened = settings ? Result<void>() : Result<void>(settings.error());
    if (opened)
        opened = routes_->reopen(**loaded, table::Context(context.loop, context.pool, **loaded));
    if (opened)
        opened = probes_->reopen(**loaded, table::Context(context.loop, context.pool, **loaded));
    if (opened && notices_)
        opened = notices_->open_tables(**loaded, table::Context(context.loop, context.pool, **loaded));
    if (opened)
        opened = rights_.open(**loaded, table::Context(context.loop, context.pool, **loaded));
    if (!opened) {
        log::error("reload: ", opened.error().full_text(), "; the old configuration stays in use");
        return;
    }
    if (settings->queue_directory != settings_.queue_directory || settings->data_directory != settings_.data_directory)
        log::warning("reload: queue_directory and data_directory change with a restart only");
    settings_ = std::move(*settings);
    reloaded_before_ = std::exchange(reloaded_, std::move(*loaded));
    context.set_stop_deadline(reloaded_->duration("stop_deadline"));
    if (scheduler_)
        scheduler_->settings_changed();
    log::info("configuration reloaded");
}

// Those who put mail into the queue are served until the last delivery is over: they notice nothing.
Task<void> QmgrProgram::leave_when_quiet(service::Context& context)
{
    while (!scheduler_->quiet())
        co_await sleep_for(context.loop, Duration::milliseconds(20));
    (void)co_await pool_->settle(); // what is not on disk yet will be found out anew
    context.finish(0);
}

void QmgrProgram::on_drain(service::Context& context)
{
    if (std::exchange(leaving_, true))
        return;
    if (!pool_) {
        context.finish(0);
        return;
    }
    scheduler_->pause();
    context.background.spawn(leave_when_quiet(context));
}

void QmgrProgram::on_end(service::Context&)
{
    if (scheduler_)
        scheduler_->leave_in_order();
}

bool QmgrProgram::idle() const
{
    return false; // it leaves by itself
}

} // namespace posthouse::qmgr

namespace {

constexpr posthouse::service::Spec spec = {
    .program = "qmgr",
    .chroot_ok = false,
    .delivers = true,
    .gives_work = true,
    .exclusive = true,
    .idle_exit = false,
    .sandbox = {.files = true}, // tables are opened anew when they change
    .pool_share = 2,
};

} // namespace

int main(int argc, char** argv)
{
    return posthouse::service::run(argc, argv, spec, []() -> std::unique_ptr<posthouse::service::Program> {
        return std::make_unique<posthouse::qmgr::QmgrProgram>();
    });
}
