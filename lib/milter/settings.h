// What main.cf says of milters: which ones, in which order, how long to wait for each, what follows when one fails, and
// which macros they are sent.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/milter/protocol.h"
#include "lib/net/service_address.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace posthouse::config {
class Config;
}

namespace posthouse::milter {

// milter_default_action.
enum class DefaultAction : uint8_t { Accept, Reject, TempFail, Quarantine, Shutdown };

struct FilterSettings {
    FilterSettings() = default;
    net::ServiceAddress address;
    Duration connect_timeout, command_timeout, content_timeout;
    DefaultAction default_action = DefaultAction::Shutdown;
    uint32_t protocol = newest_version;
};
using FilterList = std::vector<FilterSettings>;

struct Settings {
    Settings() = default;
    static Result<Settings> from_config(const config::Config& config);

    // "inet:host:port unix:path { inet:host:port, connect_timeout = 10s, default_action = accept }", as smtpd_milters has
    // it. An Error of kind Config names what is wrong.
    Result<FilterList> parse_list(const std::vector<std::string>& items) const;

    FilterSettings defaults; // without an address
    std::array<std::vector<std::string>, stage_count> macros; // names, as they are sent
    std::vector<std::pair<std::string, std::string>> macro_defaults; // names without braces
    std::string daemon_name; // {daemon_name}
    std::string version;     // v
    size_t header_limit = 0; // bytes of a message's header that are kept for filters
    uint64_t body_limit = 0; // bytes of a new body; 0: none
};

// "{name}" and "name" are one macro.
std::string_view bare_name(std::string_view macro);

} // namespace posthouse::milter
