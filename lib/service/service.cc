// The life of a daemon: see service.h. run() brings it up in the order given there; Runner is the rest:
// accepting, telling master how busy it is, draining, and leaving.
#include "lib/service/service.h"

#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/event/notify.h"
#include "lib/log/log.h"
#include "lib/net/resolver.h"
#include "lib/net/socket.h"
#include "lib/service/command_line.h"
#include "lib/service/log_setup.h"
#include "lib/service/peer.h"
#include "lib/service/privileges.h"
#include "lib/service/sandbox.h"
#include "lib/service/status_protocol.h"
#include "lib/service/stop_times.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace posthouse::service {

namespace {

constexpr size_t default_sessions = 10000;
constexpr size_t spare_descriptors = 64;      // for files and the queue, beside sessions
constexpr int accept_at_once = 64;            // then the loop looks at the sessions again
constexpr Duration listener_pause = Duration::milliseconds(500); // out of descriptors or memory
constexpr Duration load_interval = Duration::seconds(1);
constexpr double much_load = 0.7;             // of one processor, over an interval
constexpr uint64_t sessions_for_use = 1000;   // max_use is meant for processes that serve one at a time

net::ResolverOptions resolver_options(const config::Config& config, const Spec& spec)
{
    net::ResolverOptions options;
    options.servers = config.text("dns_servers");
    options.trust_ad = config.boolean("dns_trust_ad");
    options.cache_size = static_cast<size_t>(config.number("dns_cache_size"));
    if (spec.host_lookup) {
        const auto ways = config.list(spec.host_lookup);
        options.use_hosts_file = std::find(ways.begin(), ways.end(), "native") != ways.end();
        options.use_dns = std::find(ways.begin(), ways.end(), "dns") != ways.end();
        if (config.boolean("disable_dns_lookups")) {
            options.use_dns = false;
            options.use_hosts_file = true;
        }
    }
    return options;
}

// Until here, `posthouse start` shows on its terminal what goes wrong. Master's own output is where that of
// a daemon belongs: nowhere, or in the log of start-fg.
void leave_terminal()
{
    log::echo_to_stderr(false);
    ::dup2(STDOUT_FILENO, STDERR_FILENO);
}

// A reload that comes while a program is on its way up (qmgr may wait for its predecessor) has to wait:
// by default the signal would kill.
void hold_reload(int how)
{
    sigset_t reload;
    sigemptyset(&reload);
    sigaddset(&reload, SIGHUP);
    ::pthread_sigmask(how, &reload, nullptr);
}

double cpu_seconds()
{
    timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

class Runner final : public Context {
public:
    Runner(Loop& its_loop, const config::Config& its_config, ThreadPool& its_pool, const CommandLine& line,
           const Spec& spec, TaskGroup& its_background, bool is_privileged)
        : Context(its_loop, its_config, its_pool, line.arguments, line.service_name, its_background), spec_(spec),
          status_fd_(first_listener_fd + static_cast<int>(line.listeners)), privileged_(is_privileged),
          stop_deadline_(its_config.duration("stop_deadline")),
          idle_timer_(its_loop, [this] { leave_if_unused(); }), end_timer_(its_loop, [this] { end(); }),
          load_timer_(its_loop, [this] { measure_load(); }), room_(its_loop), accepting_(its_loop), sessions_(its_loop)
    {
        for (size_t i = 0; i < line.listeners; ++i)
            listeners_.push_back(first_listener_fd + static_cast<int>(i));
        for (const int fd : listeners_)
            ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
        take_shared_memory();
        const size_t descriptors = open_files_limit();
        most_sessions_ = spec.sessions_per_process ? spec.sessions_per_process : default_sessions;
        most_sessions_ = std::min(most_sessions_, descriptors > 4 * spare_descriptors ? (descriptors - spare_descriptors) / 2
                                                                                     : descriptors / 4);
        if (spec.single_connection)
            most_sessions_ = 1;
        else if (!spec.exclusive)
            most_uses_ = static_cast<uint64_t>(config.number("max_use")) * sessions_for_use;
    }

    Result<void> make_resolver()
    {
        auto made = net::Resolver::create(loop, resolver_options(config, spec_));
        if (!made)
            return std::move(made.error());
        resolver_ = std::move(*made);
        return Result<void>();
    }
    void now_unprivileged() { privileged_ = false; }
    void take_work_from(gid_t group) { work_group_ = group; }

    int serve(Program& program);

    net::Resolver& resolver() override
    {
        if (!resolver_)
            log::panic("the resolver is used, but not in the Spec");
        return *resolver_;
    }
    int shared_memory() const override { return shared_memory_fd_; }
    void retire() override
    {
        if (!draining_)
            tell(ChildSays::Retiring);
        drain();
    }
    bool draining() const override { return draining_; }
    bool stopping() const override { return stopping_; }
    void set_stop_deadline(Duration stop_deadline) override { stop_deadline_ = stop_deadline; }
    void finish(int status) override
    {
        status_ = status;
        end();
    }
    size_t sessions() const override { return session_count_; }
    bool privileged() const override { return privileged_; }

private:
    void take_shared_memory();
    Task<void> accept_from(int listener, size_t index);
    Task<void> one_session(UniqueFd connection, net::SocketAddress peer, size_t index);
    Task<void> listen_to_master();
    void measure_load();
    void admit(UniqueFd connection, const sockaddr_storage& peer, socklen_t length, size_t index);
    void tell(ChildSays what);
    void say_how_busy();
    void drain();
    void close_listeners();
    void stop();
    void end();
    void leave_when_done();
    void leave_if_unused();
    bool refuses(int connection) const;
    bool full() const { return session_count_ >= most_sessions_; }
    bool unused() const { return session_count_ == 0 && program_->idle(); }

    const Spec& spec_;
    std::vector<int> listeners_;
    int status_fd_;
    int shared_memory_fd_ = -1;
    bool privileged_;
    Duration stop_deadline_;
    std::optional<gid_t> work_group_; // of who may give an agent work; none when all are one ordinary user
    Program* program_ = nullptr;
    std::unique_ptr<net::Resolver> resolver_;
    size_t most_sessions_ = 0;
    size_t session_count_ = 0;
    uint64_t most_uses_ = 0; // then another process takes over; 0: never
    uint64_t uses_ = 0;
    bool loaded_ = false;
    bool draining_ = false;
    bool stopping_ = false;
    bool ended_ = false;
    int status_ = 0;
    std::optional<ChildSays> said_;
    Timer idle_timer_;
    Timer end_timer_;
    Timer load_timer_;
    double cpu_before_ = 0;
    Event room_; // notified when a session ends, for accepting that waits for it
    TaskGroup accepting_;
    TaskGroup sessions_;
};

// Master has put it behind the status socket. A program that has no use for it does not keep it.
void Runner::take_shared_memory()
{
    const int fd = status_fd_ + 1;
    if (::fcntl(fd, F_GET_SEALS) < 0)
        return;
    if (spec_.shared_memory)
        shared_memory_fd_ = ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
    else
        ::close(fd);
}

int Runner::serve(Program& program)
{
    program_ = &program;
    loop.on_signal(SIGTERM, [this] { stop(); });
    loop.on_signal(SIGHUP, [this] { retire(); });
    if (auto started = program.started(*this); !started) {
        log::write(log::Level::Fatal, started.error().full_text());
        return 1;
    }
    leave_terminal();
    hold_reload(SIG_UNBLOCK);
    background.spawn(listen_to_master());
    for (size_t i = 0; i < listeners_.size(); ++i)
        accepting_.spawn(accept_from(listeners_[i], i));
    say_how_busy();
    if (spec_.idle_exit)
        idle_timer_.set(loop.now() + config.duration("max_idle"));
    if (!ended_)
        loop.run();
    program.on_end(*this);
    // Before the program's own objects go, which these tasks use.
    sessions_.cancel_all();
    background.cancel_all();
    loop.run_once(Duration());
    return status_;
}

Task<void> Runner::accept_from(int listener, size_t index)
{
    Watch watch(loop, listener);
    int at_once = 0;
    while (!draining_) {
        if (full()) {
            (void)co_await room_.wait(Deadline::never());
            continue;
        }
        sockaddr_storage peer;
        socklen_t length = sizeof peer;
        UniqueFd connection(::accept4(listener, reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (connection && refuses(connection.get()))
            continue;
        if (connection) {
            admit(std::move(connection), peer, length, index);
            if (++at_once % accept_at_once == 0)
                co_await sleep_for(loop, Duration());
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            at_once = 0;
            (void)co_await watch.readable(Deadline::never());
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            // Sessions that end make room; a listener that stays readable must not spin until then.
            log::warning(Error::system("accept", errno).text(), ": pausing with ", session_count_, " sessions open");
            co_await sleep_for(loop, listener_pause);
        }
    }
}

bool Runner::refuses(int connection) const
{
    if (!spec_.single_connection || may_give_work(connection, work_group_))
        return false;
    log::warning("connection refused: it does not come from qmgr");
    return true;
}

void Runner::admit(UniqueFd connection, const sockaddr_storage& peer, socklen_t length, size_t index)
{
    idle_timer_.cancel();
    ++session_count_;
    if (!load_timer_.active()) {
        cpu_before_ = cpu_seconds();
        load_timer_.set(loop.now() + load_interval);
    }
    say_how_busy();
    sessions_.spawn(one_session(std::move(connection), net::SocketAddress::from_sockaddr(peer, length), index));
    if (++uses_ == most_uses_)
        retire();
}

Task<void> Runner::one_session(UniqueFd connection, net::SocketAddress peer, size_t index)
{
    // Counts down also when the session is cancelled or ends with an exception.
    struct Leave {
        explicit Leave(Runner& its_runner) : runner(its_runner) {}
        ~Leave()
        {
            --runner.session_count_;
            runner.say_how_busy();
            runner.room_.notify_one();
            if (runner.draining_)
                runner.leave_when_done();
            else if (runner.session_count_ == 0 && runner.spec_.idle_exit)
                runner.idle_timer_.set(runner.loop.now() + runner.config.duration("max_idle"));
        }
        Runner& runner;
    };
    const Leave leave(*this);
    co_await program_->serve(*this, std::move(connection), std::move(peer), index);
}

Task<void> Runner::listen_to_master()
{
    Watch watch(loop, status_fd_);
    while (true) {
        char message;
        const ssize_t got = ::recv(status_fd_, &message, 1, MSG_DONTWAIT);
        if (got == 1) {
            if (message == static_cast<char>(MasterSays::Wakeup))
                program_->on_wakeup(*this);
            else if (message == static_cast<char>(MasterSays::Stop))
                drain();
            continue;
        }
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            (void)co_await watch.readable(Deadline::never());
            continue;
        }
        // Nobody supervises any more: a new master wants the sockets and the queue for its own children.
        stop();
        co_return;
    }
}

// One busy processor is a reason for master to start another process of the service. Looked at only
// while there are sessions: an idle process sleeps.
void Runner::measure_load()
{
    const double now = cpu_seconds();
    loaded_ = now - cpu_before_ > much_load * load_interval.as_seconds();
    cpu_before_ = now;
    say_how_busy();
    if (session_count_ > 0)
        load_timer_.set(loop.now() + load_interval);
}

void Runner::tell(ChildSays what)
{
    if (said_ == what)
        return;
    said_ = what;
    const char message = static_cast<char>(what);
    (void)!::send(status_fd_, &message, 1, MSG_DONTWAIT | MSG_NOSIGNAL); // a master that is gone is noticed elsewhere
}

void Runner::say_how_busy()
{
    if (draining_)
        return;
    tell(full() ? ChildSays::Busy : loaded_ ? ChildSays::Loaded : ChildSays::Available);
}

void Runner::drain()
{
    if (!std::exchange(draining_, true))
        close_listeners();
    program_->on_drain(*this);
    leave_when_done();
}

// A service that a reload removed is refused at once, not when its last session has ended.
void Runner::close_listeners()
{
    accepting_.cancel_all();
    loop.post([this] { // after the tasks have gone, which watch the sockets
        for (const int fd : std::exchange(listeners_, std::vector<int>()))
            ::close(fd);
    });
}

void Runner::stop()
{
    if (std::exchange(stopping_, true))
        return;
    end_timer_.set(loop.now() + (spec_.delivers ? stop_deadline_ : session_stop_time(stop_deadline_)));
    drain();
}

void Runner::end()
{
    if (!std::exchange(ended_, true))
        loop.stop();
}

// Looks again soon when the program itself is not done: it does not tell.
void Runner::leave_when_done()
{
    if (unused())
        end();
    else
        idle_timer_.set(loop.now() + Duration::milliseconds(50));
}

void Runner::leave_if_unused()
{
    if (draining_)
        leave_when_done();
    else if (unused())
        retire();
    else if (session_count_ == 0)
        idle_timer_.set(loop.now() + config.duration("max_idle"));
}

std::string in_root(const std::string& path, const std::string& root)
{
    if (root.empty())
        return path;
    if (path == root)
        return "/";
    return path.starts_with(root + "/") ? path.substr(root.size()) : std::string();
}

std::vector<AllowedPath> allowed_paths(const Spec& spec, const config::Config& config, const std::string& root)
{
    std::vector<AllowedPath> allowed;
    for (const PathRight& right : spec.sandbox.paths) {
        if (!right.parameter)
            break;
        const std::string path = in_root(cat(config.text(right.parameter), right.below), root);
        if (!path.empty())
            allowed.push_back(AllowedPath(path, right.right == PathRight::ReadWrite));
    }
    return allowed;
}

// Root directory, user, limits, sandbox.
Result<void> give_up_privileges(const Spec& spec, const CommandLine& line, const config::Config& config, Runner& runner)
{
    const bool root = ::geteuid() == 0;
    const bool keep = spec.needs_root && !line.give_up_root;
    std::string new_root;
    if (root && !keep) {
        auto owner = find_mail_owner(config.text("mail_owner"));
        if (!owner)
            return std::move(owner.error()).within("mail_owner");
        if (spec.single_connection || spec.gives_work) {
            auto group = find_group(config.text("setgid_group"));
            if (!group)
                return std::move(group.error()).within("setgid_group");
            if (spec.gives_work)
                owner->more = *group;
            else
                runner.take_work_from(*group);
        }
        if (line.chroot && spec.chroot_ok) {
            new_root = config.text("queue_directory");
            RETURN_IF_ERROR(enter_root(new_root));
        }
        RETURN_IF_ERROR(become(*owner));
        runner.now_unprivileged();
    }
    limit_process(spec.core_bytes, !keep);
    Sandbox powers = spec.sandbox;
    if (powers.dns_when && config.text(powers.dns_when).empty())
        powers.dns = false;
    auto sandbox = enter_sandbox(powers, allowed_paths(spec, config, new_root));
    if (!sandbox)
        return std::move(sandbox.error());
    log::debug("uid ", ::getuid(), new_root.empty() ? "" : ", chroot", ", ", *sandbox);
    return Result<void>();
}

Result<void> come_up(const Spec& spec, const CommandLine& line, const config::Config& config, Runner& runner,
                     Program& program)
{
    const std::string& queue_directory = config.text("queue_directory");
    if (::chdir(queue_directory.c_str()) != 0)
        return Error::system(cat("chdir ", queue_directory), errno);
    if (spec.resolver)
        RETURN_IF_ERROR(runner.make_resolver());
    RETURN_IF_ERROR(program.prepare(runner));
    return give_up_privileges(spec, line, config, runner);
}

// A daemon's terminal is hardly ever there: whatever is wrong goes to the log, as far as one can be found, and to
// stderr, where `posthouse start` shows it.
std::unique_ptr<config::Config> read_configuration(const CommandLine& line, const char* program)
{
    std::vector<config::Fault> faults;
    auto config = config::Config::load_with_faults(line.directory, line.overrides, faults);
    Result<void> opened = Error(ErrorKind::Config, "no configuration");
    if (config)
        opened = open_log(**config, program);
    if (!opened)
        open_default_log(program);
    log::echo_to_stderr(true);
    for (const config::Fault& fault : faults)
        if (!fault.warning)
            log::error(fault.to_text());
    if (!config || !config::usable(faults))
        log::fatal(cat("the configuration in ", line.directory, " cannot be used"));
    if (!opened)
        log::fatal(opened.error().full_text());
    return std::move(*config);
}

// What is wrong with main.cf itself is said by who asks, for all programs at once; the values of -o are this one's.
std::unique_ptr<config::Config> checked_configuration(const CommandLine& line, std::string& text)
{
    std::vector<config::Fault> faults;
    auto config = config::Config::load_what_is_sound(line.directory, line.overrides, faults);
    for (const config::Fault& fault : faults)
        if (!fault.warning && fault.file == "-o")
            append_to(text, fault.parameter, ": ", fault.text, '\n');
    return config ? std::move(*config) : nullptr;
}

// -k: warnings, as of tables that are missing, are not asked for.
int check(const CommandLine& line, const Spec& spec, Factory factory)
{
    ::dup2(UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC)).get(), STDERR_FILENO);
    std::string text;
    if (const auto config = checked_configuration(line, text)) {
        Loop loop;
        ThreadPool pool(loop, 1);
        TaskGroup background(loop);
        Runner runner(loop, *config, pool, line, spec, background, ::geteuid() == 0);
        std::vector<Error> faults;
        if (auto made = spec.resolver ? runner.make_resolver() : Result<void>(); !made)
            faults.push_back(std::move(made.error()));
        else
            factory()->check(runner, faults);
        for (const Error& fault : faults)
            append_to(text, log::sanitise(fault.full_text()), '\n');
    }
    const bool written = ::write(STDOUT_FILENO, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    return written && text.empty() ? 0 : 1;
}

} // namespace

int run(int argc, char** argv, const Spec& spec, Factory factory)
{
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGIO, SIG_IGN); // somebody opens a file that qmgr has a lease on (lib/queue/slot_pool_supply.cc)
    hold_reload(SIG_BLOCK);
    if (argc == 2 && std::string_view(argv[1]) == "--help") {
        const std::string text = cat(spec.program, " is a part of the mail system, started by master: see ", spec.program,
                                     "(8), and posthouse(1) to start it\n");
        return ::write(STDOUT_FILENO, text.data(), text.size()) < 0 ? 1 : 0;
    }
    auto line = parse_command_line(std::vector<std::string>(argv + 1, argv + argc));
    if (!line)
        log::fatal(cat(spec.program, ": ", line.error().text(), "; this program is started by master"));
    if (line->check)
        return check(*line, spec, factory);
    const std::unique_ptr<config::Config> config = read_configuration(*line, spec.program);
    Loop loop;
    ThreadPool pool(loop, static_cast<size_t>(config->number("thread_pool_size")) * spec.pool_share);
    TaskGroup background(loop);
    Runner runner(loop, *config, pool, *line, spec, background, ::geteuid() == 0);
    const std::unique_ptr<Program> program = factory();
    if (auto up = come_up(spec, *line, *config, runner, *program); !up)
        log::fatal(up.error().full_text());
    return runner.serve(*program);
}

} // namespace posthouse::service
