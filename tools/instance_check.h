// What is wrong with an instance: its two configuration files, accounts, programs, directories and tables.
// For `posthouse check` and the start.
#pragma once

#include "lib/config/config.h"
#include "lib/config/master_cf.h"

#include <memory>
#include <string>
#include <vector>

namespace posthouse::tools {

struct Instance {
    std::string directory;
    std::unique_ptr<config::Config> config; // what is sound of main.cf: see Config::load_what_is_sound
    std::vector<config::Service> services;  // those without a fault
    bool services_complete = true;          // that is, all
    const std::string& queue() const { return config->text("queue_directory"); }
};

// Reads main.cf and master.cf, and appends what is wrong with both. False when they cannot be used.
bool read_instance(Instance& instance, std::vector<config::Fault>& faults);

// The rest needs an instance that was read. Each appends to `faults`.
// What no start can do without: accounts and master itself.
void check_essentials(const Instance& instance, std::vector<config::Fault>& faults);
// Settings and entries without effect; owners and modes.
void check_surroundings(const Instance& instance, std::vector<config::Fault>& faults);
// Programs that entries of master.cf name, and every table that a parameter names, opened for a moment.
void check_programs(const Instance& instance, std::vector<config::Fault>& faults);
void check_tables(const Instance& instance, std::vector<config::Fault>& faults);
// What the programs themselves say of the settings that each of them reads; and addresses and ports to listen on.
void check_settings(const Instance& instance, std::vector<config::Fault>& faults);
// What is no fault, but hardly meant.
void check_sense(const Instance& instance, std::vector<config::Fault>& faults);

} // namespace posthouse::tools
