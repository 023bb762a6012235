// Fault: one thing that is wrong with a configuration file, in words for the administrator. Reading a
// file collects all of them; only those that are no warnings keep a program from starting.
#pragma once

#include <string>
#include <vector>

namespace posthouse::config {

struct Fault {
    std::string file;      // path, or "-o" for a command line value
    int line = 0;          // 0: no line
    std::string parameter; // or the service in master.cf; may be empty
    std::string text;      // what is wrong and what was expected
    bool warning = false;

    // "/etc/posthouse/main.cf, line 12: smtpd_timeout: expected a time such as 10s, 5m or 2h, not \"x\""
    std::string to_text() const;
};

// True when nothing but warnings is in the list.
bool usable(const std::vector<Fault>& faults);

} // namespace posthouse::config
