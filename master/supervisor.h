// All services of one instance: opens their sockets, hands out the ends of children, reloads and stops.
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"
#include "lib/config/master_cf.h"
#include "lib/event/loop.h"
#include "master/service_runner.h"

#include <memory>
#include <string>
#include <vector>

namespace posthouse::master {

class Supervisor {
public:
    explicit Supervisor(Loop& loop);

    // Opens everything first, then starts: a port that is taken stops the start, not half of it.
    Result<void> start(const config::Config& config, const std::vector<config::Service>& services);
    // False while programs that were started at the start are on their way up.
    bool settled() const;
    // Those of which no program came up.
    std::vector<std::string> failing() const;
    // Services that are new start, those that are gone close, all others get new children.
    void reload(const config::Config& config, const std::vector<config::Service>& services);
    // Ends what takes mail first, then, when that has gone or has had its time, agents and the queue manager: a
    // message that is just coming in is still taken. Ends the loop when the last child has gone; what has not
    // after the patience is killed.
    void stop();
    // Reaps all children that have ended.
    void reap();

private:
    using Runners = std::vector<std::unique_ptr<ServiceRunner>>;
    Runners::iterator find(const config::Service& service);
    void signal_all(int signal_number);
    void stop_rest();
    void go_on_stopping();
    void drop_closed();

    Loop& loop_;
    Runners runners_;
    Runners closed_; // removed by a reload; their children finish
    bool stopping_ = false;
    bool rest_stops_ = false;
    Duration stop_deadline_;
    Timer intake_patience_;
    Timer patience_;
};

} // namespace posthouse::master
