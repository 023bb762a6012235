// Supervising one service: see service_runner.h.
#include "master/service_runner.h"

#include "lib/base/cat.h"
#include "lib/log/log.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace posthouse::master {

namespace {

// A crash is followed by a restart at once; by one a second later; and then by the throttle time.
constexpr int crashes_before_throttle = 3;
constexpr Duration crash_pause = Duration::seconds(1);

const char* safe_path = "PATH=/usr/bin:/bin:/usr/sbin:/sbin";

// One process at a time, whatever the entry says: they own what they work on.
bool is_single(const std::string& program) { return program == "qmgr" || program == "pickup"; }

// Takes a new configuration over as it runs, on SIGHUP: a successor would have to wait for its last delivery.
bool reloads_itself(const std::string& program) { return program == "qmgr"; }

std::string describe_end(int wait_status)
{
    if (WIFSIGNALED(wait_status))
        return cat("killed by signal ", WTERMSIG(wait_status));
    return cat("exit status ", WEXITSTATUS(wait_status));
}

} // namespace

RunSettings RunSettings::from_config(const config::Config& config)
{
    RunSettings settings;
    settings.config_directory = config.directory();
    settings.daemon_directory = config.text("daemon_directory");
    settings.default_process_limit = static_cast<int>(config.number("default_process_limit"));
    settings.throttle_time = config.duration("service_throttle_time");
    settings.stop_deadline = config.duration("stop_deadline");
    settings.processors = static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
    settings.environment.push_back(safe_path);
    for (const std::string& word : config.list("import_environment")) {
        const size_t equals = word.find('=');
        if (equals != std::string::npos)
            settings.environment.push_back(word);
        else if (const char* value = ::getenv(word.c_str()))
            settings.environment.push_back(cat(word, '=', value));
    }
    return settings;
}

ServiceRunner::ServiceRunner(Loop& loop, config::Service service, RunSettings settings, std::vector<UniqueFd> listeners)
    : loop_(loop), service_(std::move(service)), settings_(std::move(settings)), listeners_(std::move(listeners)),
      shared_memory_(::memfd_create("posthouse", MFD_CLOEXEC | MFD_ALLOW_SEALING)), changed_(loop),
      wakeup_(loop, [this] { wake_up(); }), tasks_(loop)
{
    if (service_.wakeup_seconds > 0)
        wakeup_.set(loop_.now());
    tasks_.spawn(attend());
}

Task<void> ServiceRunner::attend()
{
    while (!closed_) {
        const Need what = need();
        if (what != Need::None && not_before_ > Instant::now()) {
            (void)co_await changed_.wait(Deadline::at(not_before_));
            continue;
        }
        if (what == Need::Now || (what == Need::OnConnection && connection_waits())) {
            start_child();
            continue;
        }
        // The sockets are looked at only while nobody accepts from them.
        TaskGroup watching(loop_);
        if (what == Need::OnConnection)
            for (const UniqueFd& listener : listeners_)
                watching.spawn(watch_listener(listener.get()));
        (void)co_await changed_.wait(Deadline::never());
    }
    listeners_.clear(); // nothing watches them any more
}

Task<void> ServiceRunner::watch_listener(int fd)
{
    Watch watch(loop_, fd);
    (void)co_await watch.readable(Deadline::never());
    changed_.notify_all();
}

ServiceRunner::Need ServiceRunner::need() const
{
    int running = 0;
    bool somebody_accepts = false;
    bool all_loaded = true;
    for (const Attended& attended : children_) {
        const Child::State state = attended.child.state;
        // One that only finishes its last sessions is in nobody's way, unless it owns what it works on.
        if (state != Child::State::Leaving || is_single(service_.program))
            ++running;
        if (state == Child::State::Starting || state == Child::State::Available) {
            somebody_accepts = true;
            all_loaded = false;
        } else if (state == Child::State::Loaded) {
            somebody_accepts = true;
        }
    }
    const int limit = process_limit();
    if (limit > 0 && running >= limit)
        return Need::None;
    if (!somebody_accepts)
        return wanted_ ? Need::Now : Need::OnConnection;
    return all_loaded && running < settings_.processors ? Need::Now : Need::None;
}

int ServiceRunner::process_limit() const
{
    if (is_single(service_.program))
        return 1;
    return service_.process_limit >= 0 ? service_.process_limit : settings_.default_process_limit;
}

bool ServiceRunner::connection_waits() const
{
    std::vector<pollfd> polled;
    for (const UniqueFd& listener : listeners_)
        polled.push_back(pollfd{listener.get(), POLLIN, 0});
    return ::poll(polled.data(), polled.size(), 0) > 0;
}

ChildCommand ServiceRunner::command() const
{
    ChildCommand command;
    command.path = cat(settings_.daemon_directory, '/', service_.program);
    auto& words = command.arguments;
    words = {service_.command.empty() ? service_.program : service_.command.front(), "-c", settings_.config_directory,
             "-n", service_.name};
    if (service_.is_chrooted())
        words.push_back("-z");
    if (service_.is_unprivileged())
        words.push_back("-u");
    words.push_back("-s");
    words.push_back(cat(listeners_.size()));
    for (const auto& [name, value] : service_.overrides.pairs()) {
        words.push_back("-o");
        words.push_back(cat(name, '=', value));
    }
    words.push_back("--");
    words.insert(words.end(), service_.command.begin() + std::min<long>(1, static_cast<long>(service_.command.size())),
                 service_.command.end());
    command.environment = settings_.environment;
    for (const UniqueFd& listener : listeners_)
        command.listeners.push_back(listener.get());
    command.shared_memory = shared_memory_.get();
    return command;
}

// Said here: what a child writes about it between fork and exec does not reach the log.
bool ServiceRunner::can_run(const std::string& path)
{
    if (::access(path.c_str(), X_OK) == 0)
        return true;
    log::warning("service ", service_.name, ": cannot run ", Error::system(path, errno).text());
    ++crashes_;
    throttle(Instant::now(), cat(path, ": bad command startup"));
    return false;
}

void ServiceRunner::throttle(Instant now, std::string_view why)
{
    log::warning(why, " -- throttling");
    not_before_ = now + settings_.throttle_time;
}

void ServiceRunner::start_child()
{
    const ChildCommand what = command();
    if (!can_run(what.path))
        return;
    auto child = Child::start(what);
    if (!child) {
        log::warning("service ", service_.name, ": ", child.error().full_text(), ": trying again");
        not_before_ = Instant::now() + crash_pause;
        return;
    }
    wanted_ = false;
    ever_used_ = true;
    Attended& attended = children_.emplace_back(loop_, std::move(*child));
    attended.hearing.spawn(hear(attended));
}

Task<void> ServiceRunner::hear(Attended& attended)
{
    while (attended.child.hear()) {
        changed_.notify_all();
        (void)co_await attended.watch.readable(Deadline::never());
    }
    attended.child.state = Child::State::Leaving; // SIGCHLD tells the rest
    changed_.notify_all();
}

std::list<ServiceRunner::Attended>::iterator ServiceRunner::find(pid_t pid)
{
    return std::find_if(children_.begin(), children_.end(), [&](const Attended& a) { return a.child.pid() == pid; });
}

void ServiceRunner::start_one()
{
    wanted_ = true;
    changed_.notify_all();
}

bool ServiceRunner::settled() const
{
    if (crashes_ > 0)
        return true;
    if (!wanted_ && children_.empty())
        return true;
    return ever_up();
}

bool ServiceRunner::ever_up() const
{
    return std::any_of(children_.begin(), children_.end(), [](const Attended& a) { return a.child.was_available; });
}

void ServiceRunner::wake_up()
{
    if (closed_)
        return;
    wakeup_.set(loop_.now() + Duration::seconds(service_.wakeup_seconds));
    if (service_.wakeup_if_used && !ever_used_)
        return;
    for (const Attended& attended : children_) {
        if (attended.child.state != Child::State::Leaving) {
            attended.child.say(service::MasterSays::Wakeup);
            return;
        }
    }
    wanted_ = true;
    changed_.notify_all();
}

void ServiceRunner::replace(config::Service service, RunSettings settings)
{
    const bool runs_always = service_.wakeup_seconds > 0;
    const bool keep = reloads_itself(service.program) && service.program == service_.program;
    service_ = std::move(service);
    settings_ = std::move(settings);
    crashes_ = 0;
    not_before_ = Instant();
    if (keep)
        signal_all(SIGHUP);
    else
        dismiss_all();
    wanted_ = runs_always && (!keep || children_.empty());
    if (service_.wakeup_seconds > 0)
        wakeup_.set(loop_.now() + Duration::seconds(service_.wakeup_seconds));
    else
        wakeup_.cancel();
    changed_.notify_all();
}

void ServiceRunner::dismiss_all()
{
    for (Attended& attended : children_) {
        attended.child.say(service::MasterSays::Stop);
        attended.child.state = Child::State::Leaving;
        attended.child.dismissed = true;
    }
}

void ServiceRunner::close()
{
    closed_ = true;
    wakeup_.cancel();
    dismiss_all();
    changed_.notify_all();
}

void ServiceRunner::signal_all(int signal_number)
{
    for (const Attended& attended : children_)
        ::kill(attended.child.pid(), signal_number);
}

bool ServiceRunner::child_ended(pid_t pid, int wait_status)
{
    const auto found = find(pid);
    if (found == children_.end())
        return false;
    found->child.hear(); // its last words
    const bool clean = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
    const bool asked = closed_ && WIFSIGNALED(wait_status);
    const bool never_up = !found->child.was_available && !found->child.dismissed; // would be started again and again
    if ((!clean && !asked) || never_up) {
        log::warning("process ", settings_.daemon_directory, '/', service_.program, " pid ", pid, ' ',
                     describe_end(wait_status));
        note_crash(found->child, Instant::now());
    }
    // What is always there comes back without waiting for a connection.
    if (service_.wakeup_seconds > 0 && !service_.wakeup_if_used && !closed_)
        wanted_ = true;
    // From the loop's top level: its hear() task goes with it.
    loop_.post([this, pid] {
        children_.erase(find(pid));
        changed_.notify_all();
    });
    found->child.state = Child::State::Leaving;
    return true;
}

void ServiceRunner::note_crash(const Child& child, Instant now)
{
    crashes_ = now - last_crash_ < settings_.throttle_time ? crashes_ + 1 : 1;
    last_crash_ = now;
    if (!child.was_available) {
        throttle(now, cat(settings_.daemon_directory, '/', service_.program, ": bad command startup"));
    } else if (crashes_ >= crashes_before_throttle) {
        throttle(now, cat("service ", service_.name, ": crashes again and again"));
    } else if (crashes_ > 1) {
        not_before_ = now + crash_pause;
    }
}

} // namespace posthouse::master
