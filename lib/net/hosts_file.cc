// /etc/hosts: see hosts_file.h.
#include "lib/net/hosts_file.h"

#include "lib/base/ascii.h"

#include <algorithm>

namespace posthouse::net {

HostsFile::HostsFile(std::string_view content)
{
    for (std::string_view line : ascii::split(content, "\r\n")) {
        line = line.substr(0, line.find('#'));
        const auto words = ascii::split(line, " \t");
        if (words.size() < 2)
            continue;
        const auto address = IpAddress::parse(words[0]);
        if (!address)
            continue;
        names_.try_emplace(*address, ascii::lower(words[1]));
        for (size_t i = 1; i < words.size(); ++i) {
            auto& known = addresses_[ascii::lower(words[i])];
            if (std::find(known.begin(), known.end(), *address) == known.end())
                known.push_back(*address);
        }
    }
}

const std::vector<IpAddress>* HostsFile::addresses(const std::string& lower_case_name) const
{
    const auto found = addresses_.find(lower_case_name);
    return found == addresses_.end() ? nullptr : &found->second;
}

const std::string* HostsFile::name(const IpAddress& address) const
{
    const auto found = names_.find(address);
    return found == names_.end() ? nullptr : &found->second;
}

} // namespace posthouse::net
