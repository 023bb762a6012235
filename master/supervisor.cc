// The services of an instance: see supervisor.h.
#include "master/supervisor.h"

#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/service/stop_times.h"
#include "lib/service/listeners.h"

#include <algorithm>
#include <csignal>
#include <sys/wait.h>

namespace posthouse::master {

namespace {

bool is_run(const config::Service& service) { return service.use == config::ProgramUse::Run; }

void tell_of_others(const std::vector<config::Service>& services)
{
    for (const std::string& line : config::entries_left_out(services))
        log::info("master.cf: ", line);
}

} // namespace

Supervisor::Supervisor(Loop& loop)
    : loop_(loop), intake_patience_(loop, [this] { stop_rest(); }), patience_(loop, [this] {
          log::warning("some processes do not end: killing them");
          signal_all(SIGKILL);
      })
{
}

Result<void> Supervisor::start(const config::Config& config, const std::vector<config::Service>& services)
{
    const RunSettings settings = RunSettings::from_config(config);
    stop_deadline_ = settings.stop_deadline;
    tell_of_others(services);
    std::vector<std::pair<const config::Service*, std::vector<UniqueFd>>> opened;
    for (const config::Service& service : services) {
        if (!is_run(service))
            continue;
        auto listeners = service::open_listeners(service, config);
        if (!listeners)
            return std::move(listeners.error());
        opened.emplace_back(&service, std::move(*listeners));
    }
    for (auto& [service, listeners] : opened) {
        auto runner = std::make_unique<ServiceRunner>(loop_, *service, settings, std::move(listeners));
        // What the administrator got wrong is told at the start, not to the first client.
        if (service->type == config::ServiceType::Inet || (service->wakeup_seconds > 0 && !service->wakeup_if_used))
            runner->start_one();
        runners_.push_back(std::move(runner));
    }
    return Result<void>();
}

bool Supervisor::settled() const
{
    return std::all_of(runners_.begin(), runners_.end(), [](const auto& runner) { return runner->settled(); });
}

std::vector<std::string> Supervisor::failing() const
{
    std::vector<std::string> names;
    for (const auto& runner : runners_)
        if (runner->failing())
            names.push_back(runner->service().name);
    return names;
}

Supervisor::Runners::iterator Supervisor::find(const config::Service& service)
{
    return std::find_if(runners_.begin(), runners_.end(), [&](const auto& runner) {
        return runner->service().name == service.name && runner->service().type == service.type
            && runner->service().is_private() == service.is_private();
    });
}

void Supervisor::reload(const config::Config& config, const std::vector<config::Service>& services)
{
    if (stopping_)
        return;
    const RunSettings settings = RunSettings::from_config(config);
    stop_deadline_ = settings.stop_deadline;
    tell_of_others(services);
    Runners kept;
    for (const config::Service& service : services) {
        if (!is_run(service))
            continue;
        const auto old = find(service);
        if (old != runners_.end()) {
            (*old)->replace(service, settings);
            kept.push_back(std::move(*old));
            runners_.erase(old);
            continue;
        }
        auto listeners = service::open_listeners(service, config);
        if (!listeners) {
            log::warning(listeners.error().full_text(), ": this service is not started");
            continue;
        }
        kept.push_back(std::make_unique<ServiceRunner>(loop_, service, settings, std::move(*listeners)));
    }
    for (auto& runner : runners_) {
        runner->close();
        closed_.push_back(std::move(runner));
    }
    runners_ = std::move(kept);
    drop_closed();
}

void Supervisor::stop()
{
    if (std::exchange(stopping_, true))
        return;
    for (const Runners* group : {&runners_, &closed_})
        for (const auto& runner : *group)
            if (runner->takes_mail()) {
                runner->close();
                runner->signal_all(SIGTERM);
            }
    intake_patience_.set(loop_.now() + service::intake_stop_time(stop_deadline_));
    patience_.set(loop_.now() + service::master_stop_time(stop_deadline_));
    go_on_stopping();
}

void Supervisor::stop_rest()
{
    if (std::exchange(rest_stops_, true))
        return;
    intake_patience_.cancel();
    for (const Runners* group : {&runners_, &closed_})
        for (const auto& runner : *group)
            if (!runner->takes_mail()) {
                runner->close();
                runner->signal_all(SIGTERM);
            }
}

void Supervisor::signal_all(int signal_number)
{
    for (const Runners* group : {&runners_, &closed_})
        for (const auto& runner : *group)
            runner->signal_all(signal_number);
}

void Supervisor::reap()
{
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG))
        for (Runners* group : {&runners_, &closed_})
            for (const auto& runner : *group)
                if (runner->child_ended(pid, status))
                    break;
    loop_.post([this] {
        drop_closed();
        go_on_stopping();
    });
}

void Supervisor::drop_closed()
{
    std::erase_if(closed_, [](const auto& runner) { return runner->child_count() == 0; });
}

void Supervisor::go_on_stopping()
{
    if (!stopping_)
        return;
    const auto has_children = [](const auto& runner) { return runner->child_count() > 0; };
    const auto takes_mail = [&](const auto& runner) { return runner->takes_mail() && has_children(runner); };
    const auto any_of = [this](const auto& is) {
        return std::any_of(runners_.begin(), runners_.end(), is) || std::any_of(closed_.begin(), closed_.end(), is);
    };
    if (!any_of(takes_mail))
        stop_rest();
    if (!any_of(has_children))
        loop_.stop();
}

} // namespace posthouse::master
