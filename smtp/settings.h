// What the client takes from the configuration, copied once at start. LMTP has parameters of its own with
// the same meaning ("lmtp_connect_timeout"), so one struct serves both.
#pragma once

#include "lib/base/time.h"
#include "lib/mail/seven_bit.h"
#include "lib/net/address.h"
#include "lib/queue/own_addresses.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace posthouse::config {
class Config;
}

namespace posthouse::smtp_client {

enum class AddressPreference : unsigned char { Any, V4, V6 };

class Settings {
public:
    Settings() = default; // the parameters' defaults for SMTP
    static Settings from_config(const config::Config& config, bool lmtp);

    bool lmtp = false;
    std::string hostname = "localhost"; // myhostname
    std::string helo_name = "localhost";
    uint16_t port = 25;

    // Where to go.
    size_t address_limit = 5; // 0: all
    size_t session_limit = 2;
    bool randomize = true;
    bool balance_families = true;
    bool use_v4 = true;
    bool use_v6 = true;
    AddressPreference preference = AddressPreference::Any;
    bool defer_if_no_mx_address = false;
    bool use_mx = true;           // disable_dns_lookups = no
    bool ignore_mx_error = false; // ignore_mx_lookup_error
    std::vector<std::string> fallback_relays;
    std::optional<net::IpAddress> bind_v4;
    std::optional<net::IpAddress> bind_v6;
    bool bind_enforced = false;
    int tcp_window = 0; // tcp_windowsize
    queue::OwnAddresses own_addresses;

    // How long to wait for the peer.
    Duration connect_timeout = Duration::seconds(30);
    Duration helo_timeout = Duration::seconds(300);
    Duration xforward_timeout = Duration::seconds(300);
    Duration mail_timeout = Duration::seconds(300);
    Duration rcpt_timeout = Duration::seconds(300);
    Duration data_init_timeout = Duration::seconds(120);
    Duration data_xfer_timeout = Duration::seconds(180);
    // The content as a whole has data_xfer_timeout and the time that min_data_rate gives its bytes; else each
    // piece has data_xfer_timeout for itself.
    bool per_request_deadline = false;
    size_t min_data_rate = 500; // bytes a second
    Duration data_done_timeout = Duration::seconds(600);
    Duration rset_timeout = Duration::seconds(20);
    Duration quit_timeout = Duration::seconds(300);

    // How to talk.
    bool always_ehlo = true;
    bool never_ehlo = false;
    bool skip_5xx_greeting = true;
    bool skip_quit_response = true;
    bool requiretls = true; // requiretls_enable
    bool send_xforward = false;
    size_t line_limit = 998;
    bool convert_8bit = true; // disable_mime_output_conversion = no
    mail::SevenBitLimits conversion_limits;
    std::vector<std::string> discard_keywords;

    // Connections that are kept.
    bool keep_connections = true;
    std::vector<std::string> keep_destinations; // for these in any case
    Duration keep_time = Duration::seconds(2);
    Duration reuse_time = Duration::seconds(300);
    size_t reuse_count = 0; // 0: no limit

    size_t deliveries_at_a_time = 100;
};

} // namespace posthouse::smtp_client
