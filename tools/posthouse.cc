/*
NAME
	posthouse - start, stop and look after the mail system

SYNOPSIS
	posthouse [-c config_dir] command

DESCRIPTION
	Commands:

	check
	    Say everything that is wrong, with file, line and what was expected: main.cf, master.cf, accounts,
	    programs, directories, tables that are missing or faulty, and what each program of master.cf cannot
	    work with, such as a word that is no restriction. Exit with status 1 for any of these; a line with
	    "warning:", such as a setting without an effect, leaves the status 0.
	start
	    Start in the background, return when mail is taken; or say why not. Exit with status 1 when nothing
	    was started, and also when a program did not come up; the others then serve all the same.
	start-fg
	    The same in the foreground, for a container or a supervisor.
	stop
	    End in order: sessions are told, deliveries that a host is answering to are finished (stop_deadline),
	    others put off. Waits for the end: at most 21 seconds longer than stop_deadline.
	abort
	    End at once. Nothing is lost; what was under way is done again later.
	reload
	    Read the configuration again. Running programs finish with the old one. With a setting that a program
	    could not serve with, everything stays as it is, and the exit status is 1.
	flush
	    Try all mail in the queue now.
	status
	    Say whether it runs, and list its processes: program, pid, age, user.
	set-permissions
	    Give the queue's directories and the set-gid commands their owners and modes.

	Options:

	-c config_dir
	    The directory of main.cf and master.cf instead of the default or MAIL_CONFIG.

ENVIRONMENT
	MAIL_CONFIG
	    The configuration directory, when there is no -c.

DIAGNOSTICS
	Exit status 0: done. 1: not done, the reason is on standard error. 64: wrong usage.

SEE ALSO
	master(8), main.cf(5), master.cf(5), mailq(1), postsuper(1)
*/
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/config/config.h"
#include "lib/config/master_cf.h"
#include "lib/ipc/channel.h"
#include "lib/service/stop_times.h"
#include "tools/control_client.h"
#include "tools/instance_check.h"
#include "tools/instance_processes.h"
#include "tools/set_permissions.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace posthouse::tools {

namespace {

constexpr int usage_status = 64;

constexpr const char* usage_text =
    "usage: posthouse [-c config_dir] command\n"
    "  check            say what is wrong with the configuration and the directories\n"
    "  start, start-fg  start in the background, in the foreground\n"
    "  stop, abort      end in order, end at once\n"
    "  reload           read the configuration again\n"
    "  flush            try all mail in the queue now\n"
    "  status           list the processes\n"
    "  set-permissions  give directories and set-gid commands their owners and modes\n";

int complain(const Error& error)
{
    fprintf(stderr, "posthouse: %s\n", error.full_text().c_str());
    return 1;
}

// Prints them, warnings as such. How many are more than that.
int show(const std::vector<config::Fault>& faults)
{
    int count = 0;
    for (const config::Fault& fault : faults) {
        fprintf(stderr, "posthouse: %s%s\n", fault.warning ? "warning: " : "", fault.to_text().c_str());
        count += fault.warning ? 0 : 1;
    }
    return count;
}

// For commands that only have to find the instance: one that runs can also be stopped when main.cf has got a fault.
bool find_instance(Instance& instance)
{
    std::vector<config::Fault> faults;
    auto config = config::Config::load_with_faults(instance.directory, config::Overrides(), faults);
    if (config && !(*config)->text("queue_directory").empty()) {
        instance.config = std::move(*config);
        return true;
    }
    show(faults);
    return false;
}

int cmd_check(Instance& instance)
{
    std::vector<config::Fault> faults;
    read_instance(instance, faults);
    if (instance.config) { // what is sound may have faults of its own
        check_essentials(instance, faults);
        check_surroundings(instance, faults);
        check_programs(instance, faults);
        check_tables(instance, faults);
        check_settings(instance, faults);
        check_sense(instance, faults);
        for (config::Fault& fault : check_set_gid_commands(*instance.config))
            faults.push_back(std::move(fault));
    }
    return show(faults) > 0 ? 1 : 0;
}

// Only what nothing can be done without keeps the mail system from starting; the programs themselves tell of
// tables that they cannot open.
bool can_start(Instance& instance)
{
    std::vector<config::Fault> faults;
    const bool good = read_instance(instance, faults);
    if (good)
        check_essentials(instance, faults);
    const bool can = good && config::usable(faults);
    if (can)
        check_surroundings(instance, faults);
    show(faults);
    return can;
}

int run_master(const Instance& instance, bool background)
{
    const std::string path = cat(instance.config->text("daemon_directory"), "/master");
    std::vector<const char*> words = {"master", "-c", instance.directory.c_str()};
    if (background)
        words.push_back("-d");
    words.push_back(nullptr);
    ::execv(path.c_str(), const_cast<char**>(words.data()));
    return complain(Error::system(cat("cannot run ", path), errno));
}

int start(Instance& instance, bool background)
{
    if (!can_start(instance))
        return 1;
    if (auto pid = running_master(instance.queue())) {
        fprintf(stderr, "posthouse: the mail system is already running (master pid %d)\n", *pid);
        return 1;
    }
    return run_master(instance, background);
}

int cmd_start(Instance& instance) { return start(instance, true); }
int cmd_start_fg(Instance& instance) { return start(instance, false); }

int not_running(const Instance& instance)
{
    const std::string path = cat(instance.queue(), "/pid/master.pid");
    if (::access(path.c_str(), R_OK) != 0 && errno == EACCES)
        return complain(Error::system(path, errno));
    fprintf(stderr, "posthouse: the mail system is not running\n");
    return 1;
}

int signal_master(const Instance& instance, int number)
{
    const auto pid = running_master(instance.queue());
    if (!pid)
        return not_running(instance);
    if (::kill(*pid, number) != 0)
        return complain(Error::system(cat("signal to master, pid ", *pid), errno));
    return 0;
}

int cmd_stop(Instance& instance)
{
    if (const int fault = signal_master(instance, SIGTERM); fault != 0)
        return fault;
    const Duration patience = service::command_stop_time(instance.config->duration("stop_deadline"));
    for (const Instant limit = Instant::now() + patience; Instant::now() < limit; ::usleep(50000))
        if (!running_master(instance.queue()))
            return 0;
    fprintf(stderr, "posthouse: it has not ended within %lld seconds: see the log, or use abort\n",
            static_cast<long long>(patience.whole_seconds()));
    return 1;
}

// Master first, so that it starts nothing anew.
int cmd_abort(Instance& instance)
{
    const auto pid = running_master(instance.queue());
    if (!pid)
        return not_running(instance);
    const std::vector<Process> children = processes_below(*pid);
    ::kill(*pid, SIGKILL);
    for (const Process& child : children)
        ::kill(child.pid, SIGKILL);
    return 0;
}

int cmd_reload(Instance& instance)
{
    std::vector<config::Fault> faults;
    if (read_instance(instance, faults))
        check_settings(instance, faults);
    show(faults);
    // Programs that run and serve are not replaced by some that cannot.
    if (!config::usable(faults)) {
        fputs("posthouse: not reloaded: the old configuration stays in force\n", stderr);
        return 1;
    }
    return signal_master(instance, SIGHUP);
}

int cmd_flush(Instance& instance)
{
    auto client = ControlClient::connect(instance.queue());
    if (!client)
        return complain(client.error());
    queue::ControlFlush request;
    request.what = queue::FlushWhat::All;
    auto end = (*client)->ask(request.to_frame());
    return end ? 0 : complain(end.error());
}

int cmd_status(Instance& instance)
{
    const auto pid = running_master(instance.queue());
    if (!pid)
        return not_running(instance);
    printf("the mail system is running: master pid %d\n", *pid);
    for (const Process& process : processes_below(*pid))
        printf("  %-10s pid %-8d up %-10s user %s\n", process.name.c_str(), process.pid,
               age_text(process.age_seconds).c_str(), process.user.c_str());
    return 0;
}

int cmd_set_permissions(Instance& instance)
{
    if (auto done = set_permissions(*instance.config); !done)
        return complain(done.error());
    return 0;
}

struct Command {
    const char* name;
    int (*run)(Instance&);
    bool finds_instance; // before it runs; the others read the configuration and list all faults
};
constexpr Command commands[] = {
    {"check", cmd_check, false},   {"start", cmd_start, false},   {"start-fg", cmd_start_fg, false},
    {"stop", cmd_stop, true},      {"abort", cmd_abort, true},    {"reload", cmd_reload, false},
    {"flush", cmd_flush, true},    {"status", cmd_status, true},  {"set-permissions", cmd_set_permissions, true},
};

int run(int argc, char** argv)
{
    std::string directory;
    int at = 1;
    if (at + 1 < argc && strcmp(argv[at], "-c") == 0) {
        directory = argv[at + 1];
        at += 2;
    }
    const std::string_view name = at < argc ? argv[at] : "";
    if (name == "--help" || name == "-h" || name == "help") {
        fputs(usage_text, stdout);
        return 0;
    }
    for (const Command& command : commands) {
        if (name != command.name || at + 1 != argc)
            continue;
        Instance instance;
        instance.directory = config::Config::directory_from(directory);
        if (command.finds_instance && !find_instance(instance))
            return 1;
        return command.run(instance);
    }
    fputs(usage_text, stderr);
    return usage_status;
}

} // namespace

} // namespace posthouse::tools

int main(int argc, char** argv) { return posthouse::tools::run(argc, argv); }
