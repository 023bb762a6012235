/*
NAME
	master - supervise the programs of the mail system

SYNOPSIS
	master [-c config_dir] [-d]

DESCRIPTION
	master reads main.cf and master.cf, opens all listening sockets, and runs the other programs: a process
	is started when a connection waits that none is free to take, when its wake-up time has come, or when
	one has crashed. A program that crashes again and again is left alone for service_throttle_time.

	It is started by posthouse(1), not by hand. As root, it gives each program the user and root directory
	that master.cf says; as an ordinary user, everything runs as that user.

	-c config_dir
	    The directory of main.cf and master.cf instead of the default or MAIL_CONFIG.
	-d  Go into the background once all sockets are open and the first programs are up; exit with status 1
	    and the reason if a socket cannot be opened. A program that does not come up says why.

	Signals:

	SIGHUP
	    Read the configuration again. Running programs finish what they have, new ones start with the new
	    configuration. The sockets stay open, so no client is refused meanwhile.
	SIGTERM
	    Stop: the programs end their sessions and deliveries; master waits for them.

SECURITY
	master is the only process that stays root for long. It reads its own configuration and nothing else:
	no byte from the network, no mail.

FILES
	queue_directory/pid/master.pid
	    Locked while master runs.

DIAGNOSTICS
	With -d, exit status 0 when every program that is started at once came up, 1 when one did not (the others
	serve all the same) or when nothing could be started.

	A child that ends with a status other than 0 is logged with a warning. Faults of the configuration at
	the start go to standard error, all at once; at a reload to the log, and the old one stays in force.

SEE ALSO
	posthouse(1), master.cf(5), main.cf(5)
*/
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/config/master_cf.h"
#include "lib/event/loop.h"
#include "lib/log/log.h"
#include "lib/service/directories.h"
#include "lib/service/log_setup.h"
#include "lib/service/sandbox.h"
#include "master/pid_file.h"
#include "master/supervisor.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <initializer_list>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::master {

namespace {

constexpr Duration start_patience = Duration::seconds(10);

struct Options {
    std::string directory;
    bool detach = false;
};

struct Configuration {
    std::unique_ptr<config::Config> config;
    std::vector<config::Service> services;
};

constexpr const char* usage =
    "usage: master [-c config_dir] [-d]\n"
    "  started by posthouse(1), not by hand\n";

Options parse_options(int argc, char** argv)
{
    Options options;
    if (argc == 2 && std::string_view(argv[1]) == "--help") {
        fputs(usage, stdout);
        exit(0);
    }
    for (int letter; (letter = ::getopt(argc, argv, "c:d")) != -1;) {
        if (letter == 'c')
            options.directory = optarg;
        else if (letter == 'd')
            options.detach = true;
        else {
            fputs(usage, stderr);
            exit(64);
        }
    }
    options.directory = config::Config::directory_from(options.directory);
    return options;
}

// All faults of both files in one text.
Result<Configuration> read_configuration(const std::string& directory)
{
    std::vector<config::Fault> faults;
    Configuration read;
    auto config = config::Config::load(directory, config::Overrides(), faults);
    if (config) {
        read.config = std::move(*config);
        auto services = config::load_master_cf(directory, *read.config, faults);
        if (services)
            read.services = std::move(*services);
    }
    std::string text;
    bool fatal = !read.config || read.services.empty();
    for (const config::Fault& fault : faults) {
        if (fault.warning)
            continue;
        fatal = true;
        append_to(text, text.empty() ? "" : "\n", fault.to_text());
    }
    if (!fatal)
        return read;
    return Error(ErrorKind::Config, text.empty() ? cat(directory, "/master.cf: no service") : text);
}

// Daemons inherit: every descriptor that the system lets us have, standard ones on /dev/null.
void prepare_process()
{
    rlimit files;
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &files);
    }
    ::umask(022);
    ::signal(SIGPIPE, SIG_IGN);
    (void)!::chdir("/");
}

void close_input_and(std::initializer_list<int> outputs)
{
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(null, STDIN_FILENO);
    for (const int output : outputs)
        ::dup2(null, output);
    if (null > STDERR_FILENO)
        ::close(null);
}

// Runs the loop until the first programs are up, or have said on standard error why they are not. False
// when it is to end already.
bool bring_up(Loop& loop, const Supervisor& supervisor)
{
    log::echo_to_stderr(true);
    const Instant limit = Instant::now() + start_patience;
    bool goes_on = true;
    while (goes_on && !supervisor.settled() && Instant::now() < limit)
        goes_on = loop.run_once(Duration::milliseconds(100));
    log::echo_to_stderr(false);
    return goes_on;
}

// False when a service did not come up; the others go on.
bool report_failing(const Supervisor& supervisor)
{
    const std::vector<std::string> names = supervisor.failing();
    std::string list;
    for (const std::string& name : names)
        append_to(list, list.empty() ? "" : ", ", name);
    if (names.empty())
        return true;
    log::echo_to_stderr(true);
    log::warning("the mail system runs, but without: ", list, "; tried again every service_throttle_time");
    log::echo_to_stderr(false);
    return false;
}

// The parent waits until the child says that it is up, or has ended with its reason on standard error.
void go_into_background(UniqueFd& ready)
{
    int pipe_ends[2];
    if (::pipe2(pipe_ends, O_CLOEXEC) != 0)
        log::fatal(Error::system("pipe", errno).text());
    const UniqueFd reading(pipe_ends[0]);
    ready.reset(pipe_ends[1]);
    const pid_t child = ::fork();
    if (child < 0)
        log::fatal(Error::system("fork", errno).text());
    if (child > 0) {
        ready.reset();
        char failed = 1;
        (void)!::read(reading.get(), &failed, 1); // nothing comes when it has ended
        ::_exit(failed ? 1 : 0);
    }
    ::setsid();
}

void reload(const std::string& directory, Supervisor& supervisor, Configuration& configuration)
{
    auto read = read_configuration(directory);
    if (!read) {
        log::warning("reload: ", read.error().full_text(), ": the old configuration stays in force");
        return;
    }
    configuration = std::move(*read);
    if (auto opened = service::open_log(*configuration.config, "master"); !opened)
        log::warning(opened.error().full_text());
    log::info("reload -- version ", configuration.config->text("mail_version"), ", configuration ", directory);
    supervisor.reload(*configuration.config, configuration.services);
}

Result<void> run(const Options& options)
{
    auto configuration = read_configuration(options.directory);
    if (!configuration)
        return std::move(configuration.error());
    prepare_process();
    RETURN_IF_ERROR(service::open_log(*configuration->config, "master"));
    RETURN_IF_ERROR(service::make_directories(*configuration->config));
    auto lock = lock_pid_file(configuration->config->text("queue_directory"));
    if (!lock)
        return std::move(lock.error());
    UniqueFd ready;
    if (options.detach)
        go_into_background(ready);
    RETURN_IF_ERROR(write_pid(*lock));
    Loop loop;
    Supervisor supervisor(loop);
    loop.on_signal(SIGCHLD, [&] { supervisor.reap(); });
    loop.on_signal(SIGHUP, [&] { reload(options.directory, supervisor, *configuration); });
    for (const int number : {SIGTERM, SIGINT})
        loop.on_signal(number, [&, number] {
            log::info("terminating on signal ", number);
            supervisor.stop();
        });
    // Before anything is started: a daemon keeps master's output, and must not hold the terminal's or the pipe's.
    if (options.detach)
        close_input_and({STDOUT_FILENO});
    else
        close_input_and({});
    RETURN_IF_ERROR(supervisor.start(*configuration->config, configuration->services));
    log::info("daemon started -- version ", configuration->config->text("mail_version"), ", configuration ",
              options.directory);
    for (const std::string& text : service::missing_confinement()) // once, instead of by each process
        log::warning(text);
    const bool goes_on = bring_up(loop, supervisor);
    const char failed = goes_on && report_failing(supervisor) ? 0 : 1;
    if (options.detach)
        close_input_and({STDERR_FILENO});
    if (ready)
        (void)!::write(ready.get(), &failed, 1);
    ready.reset();
    if (goes_on)
        loop.run();
    return Result<void>();
}

} // namespace

} // namespace posthouse::master

int main(int argc, char** argv)
{
    const auto options = posthouse::master::parse_options(argc, argv);
    auto done = posthouse::master::run(options);
    if (done)
        return 0;
    fprintf(stderr, "posthouse: fatal: %s\n", done.error().full_text().c_str());
    if (posthouse::log::is_open())
        posthouse::log::write(posthouse::log::Level::Fatal, done.error().full_text());
    return 1;
}
