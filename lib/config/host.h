// Host: what the machine says of itself, for the defaults that come from it (myhostname, mynetworks).
#pragma once

#include <string>
#include <vector>

namespace posthouse::config {

struct Host {
    struct Network {
        std::string address; // "192.0.2.7", "[2001:db8::7]": as written in mynetworks
        std::string subnet;  // "192.0.2.0/24"
        std::string alone;   // "192.0.2.7/32"
        std::string classful; // "192.0.2.0/24" by the old class, for mynetworks_style = class
        bool loopback = false;
    };
    std::string name; // as the kernel has it
    std::vector<Network> networks;

    static Host of_this_machine();
    // host.example with 127.0.0.1 and ::1: for tests and for text without a machine.
    static Host made_up();
    static Network network(const unsigned char* address, size_t size, unsigned prefix);

    // The value of mynetworks for a mynetworks_style, of the addresses that inet_interfaces names.
    std::string trusted_networks(const std::string& style, const std::vector<std::string>& interfaces) const;
};

} // namespace posthouse::config
