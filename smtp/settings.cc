// The client's parameters, smtp_* or lmtp_*: see settings.h. Read by smtp.cc at start.
#include "smtp/settings.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "smtp/destination.h"

namespace posthouse::smtp_client {

namespace {

std::optional<net::IpAddress> address_of(const std::string& text)
{
    std::string_view address = text;
    if (address.starts_with('[') && address.ends_with(']'))
        address = address.substr(1, address.size() - 2);
    return net::IpAddress::parse(address);
}

AddressPreference preference_of(const std::string& text)
{
    if (text == "ipv4")
        return AddressPreference::V4;
    return text == "ipv6" ? AddressPreference::V6 : AddressPreference::Any;
}

void take_protocols(const config::Config& config, Settings& settings)
{
    bool v4 = false;
    bool v6 = false;
    for (const std::string& protocol : config.list("inet_protocols")) {
        v4 = v4 || protocol == "all" || protocol == "ipv4";
        v6 = v6 || protocol == "all" || protocol == "ipv6";
    }
    settings.use_v4 = v4;
    settings.use_v6 = v6;
}

// The parameters that have one name for SMTP and one for LMTP, by their common end.
class Prefixed {
public:
    Prefixed(const config::Config& config, bool lmtp) : config_(config), prefix_(lmtp ? "lmtp_" : "smtp_") {}
    Duration duration(std::string_view name) const { return config_.duration(cat(prefix_, name)); }
    bool boolean(std::string_view name) const { return config_.boolean(cat(prefix_, name)); }
    size_t number(std::string_view name) const { return static_cast<size_t>(config_.number(cat(prefix_, name))); }
    const std::string& text(std::string_view name) const { return config_.text(cat(prefix_, name)); }
    std::vector<std::string> list(std::string_view name) const { return config_.list(cat(prefix_, name)); }

private:
    const config::Config& config_;
    std::string_view prefix_;
};

void take_times(const Prefixed& config, Settings& settings)
{
    settings.connect_timeout = config.duration("connect_timeout");
    settings.helo_timeout = config.duration(settings.lmtp ? "lhlo_timeout" : "helo_timeout");
    settings.xforward_timeout = config.duration("xforward_timeout");
    settings.mail_timeout = config.duration("mail_timeout");
    settings.rcpt_timeout = config.duration("rcpt_timeout");
    settings.data_init_timeout = config.duration("data_init_timeout");
    settings.data_xfer_timeout = config.duration("data_xfer_timeout");
    settings.per_request_deadline = config.boolean("per_request_deadline");
    settings.min_data_rate = config.number("min_data_rate");
    settings.data_done_timeout = config.duration("data_done_timeout");
    settings.rset_timeout = config.duration("rset_timeout");
    settings.quit_timeout = config.duration("quit_timeout");
    settings.keep_time = config.duration("connection_cache_time_limit");
    settings.reuse_time = config.duration("connection_reuse_time_limit");
}

void take_routing(const Prefixed& config, Settings& settings)
{
    settings.address_limit = config.number("mx_address_limit");
    settings.session_limit = config.number("mx_session_limit");
    settings.randomize = config.boolean("randomize_addresses");
    settings.balance_families = config.boolean("balance_inet_protocols");
    settings.preference = preference_of(config.text("address_preference"));
    settings.defer_if_no_mx_address = config.boolean("defer_if_no_mx_address_found");
    settings.fallback_relays = config.list("fallback_relay");
    settings.bind_v4 = address_of(config.text("bind_address"));
    settings.bind_v6 = address_of(config.text("bind_address6"));
    settings.bind_enforced = config.boolean("bind_address_enforce");
}

} // namespace

Settings Settings::from_config(const config::Config& config, bool lmtp)
{
    const Prefixed prefixed(config, lmtp);
    Settings settings;
    settings.lmtp = lmtp;
    settings.hostname = config.text("myhostname");
    settings.helo_name = prefixed.text(lmtp ? "lhlo_name" : "helo_name");
    settings.port = port_number(prefixed.text("tcp_port")).value_or(lmtp ? 24 : 25);
    take_protocols(config, settings);
    take_times(prefixed, settings);
    take_routing(prefixed, settings);
    settings.own_addresses = queue::OwnAddresses::from_config(config);
    settings.tcp_window = static_cast<int>(config.number("tcp_windowsize"));
    settings.use_mx = !config.boolean("disable_dns_lookups");
    settings.ignore_mx_error = config.boolean("ignore_mx_lookup_error");
    if (!lmtp) {
        settings.always_ehlo = config.boolean("smtp_always_send_ehlo");
        settings.never_ehlo = config.boolean("smtp_never_send_ehlo");
    }
    settings.skip_5xx_greeting = prefixed.boolean("skip_5xx_greeting");
    settings.skip_quit_response = prefixed.boolean("skip_quit_response");
    settings.requiretls = config.boolean("requiretls_enable");
    settings.send_xforward = prefixed.boolean("send_xforward_command");
    settings.line_limit = prefixed.number("line_length_limit");
    settings.convert_8bit = !config.boolean("disable_mime_output_conversion");
    settings.conversion_limits.nesting = static_cast<size_t>(config.number("mime_nesting_limit"));
    settings.conversion_limits.boundary = static_cast<size_t>(config.number("mime_boundary_length_limit"));
    settings.conversion_limits.header_field = static_cast<size_t>(config.number("header_size_limit"));
    settings.discard_keywords = prefixed.list("discard_ehlo_keywords");
    settings.keep_connections = prefixed.boolean("connection_cache_on_demand");
    settings.keep_destinations = prefixed.list("connection_cache_destinations");
    settings.reuse_count = prefixed.number("connection_reuse_count_limit");
    settings.deliveries_at_a_time = static_cast<size_t>(config.number("default_process_limit"));
    return settings;
}

} // namespace posthouse::smtp_client
