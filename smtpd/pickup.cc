// NAME
//     pickup - take local submissions into the queue
// SYNOPSIS
//     pickup [generic options of master(8)'s children]
// DESCRIPTION
//     pickup waits for hints that new mail is in the maildrop directory, where sendmail(1) and postdrop(1)
//     leave it, and takes it into the queue as smtpd(8) does with mail from the network: addresses are
//     rewritten, missing headers added, virtual aliases expanded, header and body checked
//     (header_checks(5)), and a content_filter is seen to.
//
//     It looks when something connects to its socket public/pickup, when master's wakeup timer expires
//     (master.cf column wakeup), and when it starts. A file is removed after its message is durable in
//     the queue. A file that is not of the right form is moved to the corrupt directory, with a warning.
//     A message that breaks a limit or is refused by a check is returned to its sender. One that cannot be
//     taken for the moment stays, and is tried again after pickup_retry_time.
// SECURITY
//     pickup reads what any local user wrote. It runs as mail_owner, may open nothing but the two
//     directories, and talks to qmgr(8) alone, and to the mail filters of non_smtpd_milters when there
//     are any. It can be run in a chroot.
// DIAGNOSTICS
//     Problems and transactions are logged.
// FILES
//     queue_directory/maildrop, local submissions
//     queue_directory/corrupt, files that could not be understood
// SEE ALSO
//     sendmail(1), postdrop(1), qmgr(8), master(8), header_checks(5)
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/event/notify.h"
#include "lib/log/log.h"
#include "lib/queue/override_options.h"
#include "lib/queue/queue_client.h"
#include "lib/service/service.h"
#include "lib/table/table.h"
#include "smtpd/milter_service.h"
#include "smtpd/pickup_drop.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <string>
#include <unistd.h>
#include <unordered_set>
#include <utility>
#include <vector>

namespace posthouse::pickup {
namespace {

constexpr size_t most_at_a_time = 20; // their syncs run beside each other

class PickupProgram final : public service::Program {
public:
    Result<void> prepare(service::Context& context) override;
    void check(service::Context& context, std::vector<Error>& faults) override;
    Result<void> started(service::Context& context) override;
    Task<void> serve(service::Context& context, UniqueFd connection, net::SocketAddress peer, size_t listener) override;
    void on_wakeup(service::Context&) override { look(); }
    void on_drain(service::Context&) override { changed_->notify_all(); }
    bool idle() const override { return !busy_ && client_->unfinished() == 0; }

private:
    void look();
    Task<void> work(service::Context& context);
    Task<void> take(service::Context& context, std::string name);
    Task<void> sync_maildrop(ThreadPool& pool);
    std::vector<std::string> list(Instant now);
    Deadline next_attempt() const;

    std::unique_ptr<queue::IntakeTables> tables_;
    std::unique_ptr<queue::ContentRules> rules_;    // null: content is not looked at
    std::unique_ptr<smtpd::MilterService> milters_; // null: none
    std::unique_ptr<queue::QueueClient> client_;
    std::unique_ptr<DropContext> drops_;
    UniqueFd maildrop_, corrupt_;
    std::unique_ptr<Event> changed_;
    bool look_ = true;
    bool busy_ = false;
    Duration retry_time_;
    std::unordered_map<std::string, Instant> put_off_; // drops that wait for another attempt, and until when
    std::unordered_set<std::string> in_hand_; // being taken, or stuck
    size_t running_ = 0;
    std::unique_ptr<TaskGroup> takes_; // last: the tasks use what stands above
};

bool detects_smtputf8(const config::Config& config)
{
    const std::vector<std::string> classes = config.list("smtputf8_autodetect_classes");
    const auto is_ours = [](const std::string& word) { return word == "sendmail" || word == "all"; };
    return config.boolean("smtputf8_enable") && std::any_of(classes.begin(), classes.end(), is_ours);
}

UniqueFd open_directory(const std::string& path)
{
    return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

Result<void> PickupProgram::prepare(service::Context& context)
{
    const table::Context table_context(context.loop, context.pool, context.config);
    auto tables = queue::IntakeTables::open(context.config, table_context);
    if (!tables)
        return std::move(tables.error());
    tables_ = std::move(*tables);
    auto rules = queue::ContentRules::open(context.config, table_context);
    if (!rules)
        return std::move(rules.error());
    rules_ = std::move(*rules);
    const auto resolve = [&context]() -> net::Resolver& { return context.resolver(); };
    auto milters = smtpd::MilterService::open("non_smtpd_milters", "", context.config, table_context, resolve);
    if (!milters)
        return std::move(milters.error());
    milters_ = std::move(*milters);
    const std::string& queue_directory = context.config.text("queue_directory");
    if (milters_)
        RETURN_IF_ERROR(milters_->open_spool(queue_directory, context.pool));
    maildrop_ = open_directory(queue_directory + "/maildrop");
    if (!maildrop_)
        return Error::system(cat("open ", queue_directory, "/maildrop"), errno);
    corrupt_ = open_directory(queue_directory + "/corrupt");
    if (!corrupt_)
        return Error::system(cat("open ", queue_directory, "/corrupt"), errno);
    return {};
}

void PickupProgram::check(service::Context& context, std::vector<Error>& faults)
{
    const table::Context tables(context.loop, context.pool, context.config);
    if (auto opened = queue::IntakeTables::open(context.config, tables); !opened)
        faults.push_back(std::move(opened.error()));
    if (auto opened = queue::ContentRules::open(context.config, tables); !opened)
        faults.push_back(std::move(opened.error()));
    if (auto opened = smtpd::MilterService::open("non_smtpd_milters", "", context.config, tables, nullptr); !opened)
        faults.push_back(std::move(opened.error()));
}

Result<void> PickupProgram::started(service::Context& context)
{
    client_ = std::make_unique<queue::QueueClient>(context.loop, context.pool, "private/qmgr", "pickup",
                                                   queue::QueueClientLimits(context.config));
    drops_ = std::make_unique<DropContext>(*tables_, *client_);
    drops_->rules = rules_.get();
    if (queue::OverrideOptions(context.config).no_address_mappings)
        drops_->mappings = queue::AddressMappings::Skip;
    drops_->content_filter = context.config.text("content_filter");
    drops_->milters = milters_.get();
    drops_->maildrop = maildrop_.get();
    drops_->corrupt = corrupt_.get();
    drops_->hostname = context.config.text("myhostname");
    drops_->mail_name = context.config.text("mail_name");
    drops_->detect_smtputf8 = detects_smtputf8(context.config);
    drops_->bounce_size_limit = static_cast<size_t>(context.config.number("bounce_size_limit"));
    retry_time_ = context.config.duration("pickup_retry_time");
    changed_ = std::make_unique<Event>(context.loop);
    takes_ = std::make_unique<TaskGroup>(context.loop);
    client_->prefetch();
    context.background.spawn(work(context));
    return {};
}

// A connection says: look. What it may have to say beside that is not read.
Task<void> PickupProgram::serve(service::Context&, UniqueFd, net::SocketAddress, size_t)
{
    look();
    co_return;
}

void PickupProgram::look()
{
    look_ = true;
    if (changed_)
        changed_->notify_all();
}

std::vector<std::string> PickupProgram::list(Instant now)
{
    std::erase_if(put_off_, [now](const auto& drop) { return drop.second <= now; });
    std::vector<std::string> names;
    const int copy = ::openat(maildrop_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(copy < 0 ? nullptr : ::fdopendir(copy), ::closedir);
    if (!directory) {
        log::warning(Error::system("read maildrop", errno).full_text());
        return names;
    }
    while (const dirent* entry = ::readdir(directory.get()))
        if (entry->d_name[0] != '.' && !in_hand_.contains(entry->d_name) && !put_off_.contains(entry->d_name))
            names.emplace_back(entry->d_name);
    return names;
}

Deadline PickupProgram::next_attempt() const
{
    Deadline next = Deadline::never();
    for (const auto& [name, when] : put_off_)
        next = next.tighter(Deadline::at(when));
    return next;
}

Task<void> PickupProgram::work(service::Context& context)
{
    while (!context.draining()) {
        if (tables_->stale() || (rules_ && rules_->stale()))
            context.retire();
        if (!std::exchange(look_, false)) {
            const Deadline until = next_attempt();
            const bool notified = co_await changed_->wait(until);
            look_ = look_ || !notified;
            continue;
        }
        busy_ = true;
        const std::vector<std::string> names = list(context.loop.now());
        for (const std::string& name : names) {
            while (running_ >= most_at_a_time)
                (void)co_await changed_->wait(Deadline::never());
            if (context.draining())
                break;
            in_hand_.insert(name);
            ++running_;
            takes_->spawn(take(context, name));
        }
        while (running_ > 0)
            (void)co_await changed_->wait(Deadline::never());
        if (!names.empty())
            co_await sync_maildrop(context.pool);
        busy_ = false;
    }
}

// So that a power cut does not bring back what has been taken.
Task<void> PickupProgram::sync_maildrop(ThreadPool& pool)
{
    const int directory = maildrop_.get();
    std::function<int()> sync = [directory] { return ::fsync(directory); };
    (void)co_await in_pool(pool, std::move(sync)); // at worst, mail comes twice
}

Task<void> PickupProgram::take(service::Context& context, std::string name)
{
    const DropOutcome outcome = co_await take_drop(*drops_, name);
    if (outcome != DropOutcome::Stuck)
        in_hand_.erase(name);
    if (outcome == DropOutcome::Retry)
        put_off_[name] = context.loop.now() + retry_time_;
    --running_;
    changed_->notify_all();
}

constexpr service::Spec spec = {
    .program = "pickup",
    .exclusive = true,
    .resolver = true,
    .sandbox = {.dns = true,
                .dns_when = "non_smtpd_milters",
                .paths = {{"queue_directory", "/maildrop", service::PathRight::ReadWrite},
                          {"queue_directory", "/corrupt", service::PathRight::ReadWrite}}},
};

} // namespace
} // namespace posthouse::pickup

int main(int argc, char** argv)
{
    return posthouse::service::run(argc, argv, posthouse::pickup::spec, []() -> std::unique_ptr<posthouse::service::Program> {
        return std::make_unique<posthouse::pickup::PickupProgram>();
    });
}
