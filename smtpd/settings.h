// Settings: the parameters of smtpd as plain values, read once at start. The session code never looks
// a parameter up by its name.
#pragma once

#include "lib/base/time.h"
#include "smtpd/reply_text.h"
#include "lib/queue/override_options.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::config {
class Config;
}

namespace posthouse::smtpd {

// EHLO keywords that can be discarded; one bit each.
enum EhloKeyword : uint32_t {
    EhloPipelining = 1u << 0,
    EhloSize = 1u << 1,
    EhloVrfy = 1u << 2,
    EhloEnhancedStatusCodes = 1u << 3,
    Ehlo8bitMime = 1u << 4,
    EhloDsn = 1u << 5,
    EhloSmtpUtf8 = 1u << 6,
    EhloChunking = 1u << 7,
    EhloXclient = 1u << 8,
    EhloXforward = 1u << 9,
    EhloAuth = 1u << 10,
    EhloStartTls = 1u << 11,
    EhloEtrn = 1u << 12,
    EhloLimits = 1u << 13,
    EhloRequireTls = 1u << 14,
    EhloSilentDiscard = 1u << 31, // not a keyword: do not log what is discarded
};
// A list such as "chunking, silent-discard"; unknown words are warned about.
uint32_t parse_ehlo_keywords(std::string_view list);

enum class BareNewline : unsigned char { Accept, Normalize, Reject, Note };

struct Settings {
    explicit Settings(const config::Config& config);

    // Who we are.
    std::string hostname;
    std::string mail_name;
    std::string banner;
    std::string queue_directory;

    // Sizes and counts; 0 is no limit where Postfix has it so.
    int64_t message_size_limit;
    int64_t queue_minfree;
    size_t line_length_limit;
    size_t recipient_limit;
    size_t recipient_overshoot_limit;
    int soft_error_limit;
    int hard_error_limit;
    int junk_command_limit;
    uint32_t connection_count_limit;
    uint32_t connection_rate_limit;
    uint32_t message_rate_limit;
    uint32_t recipient_rate_limit;
    uint32_t tls_session_rate_limit;
    uint32_t auth_rate_limit;
    Duration rate_time_unit;
    int ipv4_prefix;
    int ipv6_prefix;

    // Time.
    Duration timeout;
    bool per_request_deadline;
    int64_t min_data_rate;
    Duration error_sleep_time;
    Duration dns_timeout;
    Duration queue_timeout;
    Duration etrn_interval;

    // What is asked of a client.
    bool helo_required;
    bool delay_reject;
    bool disable_vrfy;
    bool strict_envelopes;
    bool smtputf8_enable;
    bool requiretls_enable;
    bool strict_smtputf8;
    bool allow_hyphen_first; // allow_min_user
    bool detect_smtputf8; // smtputf8_autodetect_classes has smtpd
    bool peername_lookup;
    bool forbid_unauth_pipelining;
    bool relay_before_recipient;
    bool reject_unlisted_recipient;
    bool reject_unlisted_sender;
    bool allow_untrusted_routing;
    bool soft_bounce; // every 5xx becomes 4xx
    bool client_port_logging;
    bool hide_client_session;
    queue::OverrideOptions overrides;
    BareNewline forbid_bare_newline;
    int bare_newline_reject_code;
    uint32_t discard_ehlo_keywords;
    std::vector<std::string> noop_commands;
    std::string content_filter;
    std::string null_access_key;
    std::string recipient_delimiter;
    bool access_parent_domains; // smtpd_access_maps in parent_domain_matches_subdomains

    // Reply codes that an administrator may choose.
    int access_reject_code;
    int access_defer_code;
    int reject_code;
    int defer_code;
    int relay_reject_code;
    int non_fqdn_code;
    int invalid_hostname_code;
    int unknown_client_code;
    int unknown_hostname_code;
    int unknown_address_code;
    int multi_recipient_bounce_code;
    int plaintext_code;
    int rbl_code; // maps_rbl_reject_code

    // Refusals.
    std::string default_rbl_reply;
    CharacterFilter expansion_filter;
    bool defer_unknown_address; // at once; else only when nothing refuses: unknown_address_tempfail_action
    bool defer_unknown_helo;    // unknown_helo_hostname_tempfail_action

    // For policy servers.
    std::string stress;
    std::string compatibility_level;
    std::string mail_version;
};

} // namespace posthouse::smtpd
