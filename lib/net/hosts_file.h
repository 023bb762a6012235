// /etc/hosts: names and addresses that need no name server. Read once, at start.
#pragma once

#include "lib/net/address.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::net {

class HostsFile {
public:
    HostsFile() = default;
    // Lines that make no sense are skipped.
    explicit HostsFile(std::string_view content);
    // In the order of the file; null when the name is not there.
    const std::vector<IpAddress>* addresses(const std::string& lower_case_name) const;
    // The first name of the first line with this address, or null.
    const std::string* name(const IpAddress& address) const;

private:
    std::map<std::string, std::vector<IpAddress>> addresses_;
    std::map<IpAddress, std::string> names_;
};

} // namespace posthouse::net
