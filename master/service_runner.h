// One service of master.cf at work: starts a child when a connection waits and none is free to take it,
// restarts what crashed, but not in a loop, wakes it up by its timer, and replaces its children at a reload.
#pragma once

#include "lib/config/master_cf.h"
#include "lib/event/loop.h"
#include "lib/event/notify.h"
#include "lib/event/task_group.h"
#include "master/child.h"

#include <csignal>
#include <list>
#include <memory>
#include <string>
#include <vector>

namespace posthouse::master {

// What all services share, from main.cf.
struct RunSettings {
    static RunSettings from_config(const config::Config& config);

    std::string config_directory;
    std::string daemon_directory;
    std::vector<std::string> environment;
    int default_process_limit = 100;
    Duration throttle_time;
    Duration stop_deadline;
    int processors = 1;
};

class ServiceRunner {
public:
    ServiceRunner(Loop& loop, config::Service service, RunSettings settings, std::vector<UniqueFd> listeners);
    ServiceRunner(const ServiceRunner&) = delete;
    ServiceRunner& operator=(const ServiceRunner&) = delete;

    const config::Service& service() const { return service_; }

    // One child now, without waiting for a connection.
    void start_one();
    // False while the first child is on its way up.
    bool settled() const;
    // No child has come up since the last failure to start one.
    bool failing() const { return crashes_ > 0 && !ever_up(); }

    // Reload: children finish what they have, new ones start with the new entry and settings. The
    // listening sockets stay, so no client is refused meanwhile.
    void replace(config::Service service, RunSettings settings);
    // No new children, no listening; those that are there finish.
    void close();
    void signal_all(int signal_number);
    bool takes_mail() const { return service_.program == "smtpd" || service_.program == "pickup"; }

    // True when it was one of its children.
    bool child_ended(pid_t pid, int wait_status);
    size_t child_count() const { return children_.size(); }

private:
    enum class Need : unsigned char { None, OnConnection, Now };

    // A child, and the task that listens to it; the order is that of taking them apart.
    struct Attended {
        Attended(Loop& loop, Child its_child) : child(std::move(its_child)), watch(loop, child.status_fd()), hearing(loop) {}
        Child child;
        Watch watch;
        TaskGroup hearing;
    };

    Task<void> attend();
    Task<void> hear(Attended& attended);
    Task<void> watch_listener(int fd);
    Need need() const;
    bool connection_waits() const;
    int process_limit() const;
    bool ever_up() const;
    bool can_run(const std::string& path);
    void throttle(Instant now, std::string_view why);
    void start_child();
    void wake_up();
    ChildCommand command() const;
    std::list<Attended>::iterator find(pid_t pid);
    void dismiss_all();
    void note_crash(const Child& child, Instant now);

    Loop& loop_;
    config::Service service_;
    RunSettings settings_;
    std::vector<UniqueFd> listeners_;
    UniqueFd shared_memory_; // a memfd, empty until one of the processes has use for it
    std::list<Attended> children_;
    bool closed_ = false;
    bool wanted_ = false;      // the wake-up timer asks for a process
    bool ever_used_ = false;
    int crashes_ = 0;          // in a row, each soon after the one before
    Instant last_crash_;
    Instant not_before_;       // no child is started earlier: throttled
    Event changed_;
    Timer wakeup_;
    TaskGroup tasks_;
};

} // namespace posthouse::master
