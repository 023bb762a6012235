// Parameters of what Postfix does in programs of its own: postscreen and its helpers, address
// verification. smtpd screens clients itself here, under the same names.
#include "lib/config/params.h"

namespace posthouse::config {

std::span<const Parameter> screening_parameters()
{
    using enum Kind;
    using namespace use;
    static constexpr Parameter rows[] = {
        {"postscreen_access_list", List, "permit_mynetworks", "", "", Smtpd, "Clients that are let in or shut out for good, without tests."},
        {"postscreen_allowlist_interfaces", List, "static:all", "", "", Smtpd, "Addresses of this host at which a client may pass the tests."},
        {"postscreen_bare_newline_action", Choice, "ignore", "ignore|enforce|drop", "", Smtpd, "What follows when a client ends lines without CR."},
        {"postscreen_bare_newline_enable", Boolean, "no", "", "", Smtpd, "Whether that is tested."},
        {"postscreen_bare_newline_ttl", Time, "30d", "1s", "", Smtpd, "How long a pass of that test holds."},
        {"postscreen_denylist_action", Choice, "$postscreen_blacklist_action", "ignore|enforce|drop", "", Smtpd, "What follows for a client that postscreen_access_list shuts out."},
        {"postscreen_blacklist_action", Choice, "ignore", "ignore|enforce|drop", "", Smtpd, "Old name of postscreen_denylist_action."},
        {"postscreen_cache_cleanup_interval", Time, "12h", "0s", "", Unused, "How often the original drops old results; here the table drops them itself."},
        {"postscreen_cache_map", Text, "$default_cache_db_type:$data_directory/postscreen_cache", "", "", Smtpd, "Table of clients that passed; whatever the type, a file of that name with .cache behind it. Empty for none."},
        {"postscreen_cache_retention_time", Time, "7d", "1s", "", Smtpd, "How long an expired result is kept."},
        {"postscreen_client_connection_count_limit", Number, "$smtpd_client_connection_count_limit", "0", "", Smtpd, "Most connections of one client before the greeting."},
        {"postscreen_command_count_limit", Number, "20", "1", "", Smtpd, "Most commands in a session in which no recipient will be accepted."},
        {"postscreen_command_filter", Tables, "$smtpd_command_filter", "", "", Unused, "Table for commands of the original's test sessions; those here are real ones, with smtpd_command_filter."},
        {"postscreen_command_time_limit", Time, "${stress?{10}:{300}}s", "1s", "", Smtpd, "How long to wait for a command in such a session."},
        {"postscreen_disable_vrfy_command", Boolean, "$disable_vrfy_command", "", "", Unused, "For the original's test sessions; those here are real ones, with disable_vrfy_command."},
        {"postscreen_discard_ehlo_keyword_address_maps", Tables, "$smtpd_discard_ehlo_keyword_address_maps", "", "", Unused, "For the original's test sessions; those here are real ones, with smtpd_discard_ehlo_keyword_address_maps."},
        {"postscreen_discard_ehlo_keywords", List, "$smtpd_discard_ehlo_keywords", "", "", Unused, "For the original's test sessions; those here are real ones, with smtpd_discard_ehlo_keywords."},
        {"postscreen_dnsbl_action", Choice, "ignore", "ignore|enforce|drop", "", Smtpd, "What follows when a client's score reaches postscreen_dnsbl_threshold."},
        {"postscreen_dnsbl_max_ttl", Time, "${postscreen_dnsbl_ttl?{$postscreen_dnsbl_ttl}:{1}}h", "1s", "", Smtpd, "How long a pass of the DNS lists holds at most."},
        {"postscreen_dnsbl_min_ttl", Time, "60s", "1s", "", Unused, "How long a pass of the DNS lists holds at least; here it is always postscreen_dnsbl_max_ttl."},
        {"postscreen_dnsbl_ttl", Text, "", "", "", Smtpd, "Old name of postscreen_dnsbl_max_ttl."},
        {"postscreen_dnsbl_reply_map", Tables, "", "", "", Smtpd, "Table of names that replace those of DNS lists in refusals."},
        {"postscreen_dnsbl_sites", List, "", "", "", Smtpd, "DNS lists with filters and weights."},
        {"postscreen_dnsbl_threshold", Number, "1", "1", "", Smtpd, "Score of weights from which a client is bad."},
        {"postscreen_dnsbl_allowlist_threshold", Number, "${postscreen_dnsbl_whitelist_threshold?{$postscreen_dnsbl_whitelist_threshold}:{0}}", "", "", Smtpd, "Score, below zero, from which a client needs no further tests; 0 for never."},
        {"postscreen_dnsbl_whitelist_threshold", Text, "", "", "", Smtpd, "Old name of postscreen_dnsbl_allowlist_threshold."},
        {"postscreen_dnsbl_timeout", Time, "10s", "1s", "", Smtpd, "How long to wait for DNS lists."},
        {"postscreen_enforce_tls", Boolean, "$smtpd_enforce_tls", "", "", Unused, "For the original's test sessions; those here are real ones, with smtpd_tls_security_level."},
        {"postscreen_expansion_filter", Text, "$smtpd_expansion_filter", "", "", Unused, "For refusals in the original's test sessions; those here are real ones, with smtpd_expansion_filter."},
        {"postscreen_forbidden_commands", List, "$smtpd_forbidden_commands", "", "", Smtpd, "Words that are no SMTP, for the test of non-SMTP commands."},
        {"postscreen_greet_action", Choice, "ignore", "ignore|enforce|drop", "", Smtpd, "What follows when a client speaks before it is greeted."},
        {"postscreen_greet_banner", Text, "$smtpd_banner", "", "", Smtpd, "First half of the greeting, which tempts such clients."},
        {"postscreen_greet_ttl", Time, "1d", "1s", "", Smtpd, "How long a pass of the greeting test holds."},
        {"postscreen_greet_wait", Time, "${stress?{2}:{6}}s", "1s", "", Smtpd, "How long the greeting test lasts."},
        {"postscreen_helo_required", Boolean, "$smtpd_helo_required", "", "", Unused, "For the original's test sessions; those here are real ones, with smtpd_helo_required."},
        {"postscreen_non_smtp_command_action", Choice, "drop", "ignore|enforce|drop", "", Smtpd, "What follows when a client speaks another protocol."},
        {"postscreen_non_smtp_command_enable", Boolean, "no", "", "", Smtpd, "Whether that is tested."},
        {"postscreen_non_smtp_command_ttl", Time, "30d", "1s", "", Smtpd, "How long a pass of that test holds."},
        {"postscreen_pipelining_action", Choice, "enforce", "ignore|enforce|drop", "", Smtpd, "What follows when a client sends commands ahead that have to be waited for."},
        {"postscreen_pipelining_enable", Boolean, "no", "", "", Smtpd, "Whether that is tested."},
        {"postscreen_pipelining_ttl", Time, "30d", "1s", "", Smtpd, "How long a pass of that test holds."},
        {"postscreen_post_queue_limit", Number, "$default_process_limit", "1", "", Unused, "Clients that may wait for the original's smtpd; here nobody does."},
        {"postscreen_pre_queue_limit", Number, "5000", "1", "", Smtpd, "Most clients that may wait for the greeting, for each process."},
        {"postscreen_reject_footer", Raw, "$smtpd_reject_footer", "", "", Unused, "For the original's test sessions; those here are real ones, with smtpd_reject_footer."},
        {"postscreen_reject_footer_maps", Tables, "$smtpd_reject_footer_maps", "", "", Unused, "For the original's test sessions; those here are real ones, with smtpd_reject_footer_maps."},
        {"postscreen_tls_security_level", Text, "$smtpd_tls_security_level", "", "", Unused, "For the original's test sessions; those here are real ones, with smtpd_tls_security_level."},
        {"postscreen_upstream_proxy_protocol", Choice, "", "haproxy|", "", Smtpd, "Protocol with which a proxy in front names the client."},
        {"postscreen_upstream_proxy_timeout", Time, "5s", "1s", "", Smtpd, "How long to wait for that."},
        {"postscreen_use_tls", Boolean, "$smtpd_use_tls", "", "", Unused, "For the original's test sessions; those here are real ones, with smtpd_tls_security_level."},
        {"postscreen_watchdog_timeout", Time, "10s", "1s", "", Unused, "How long the original's postscreen may hang."},
        {"postscreen_whitelist_interfaces", List, "static:all", "", "", Smtpd, "Old name of postscreen_allowlist_interfaces."},
        {"smtpd_service_name", Text, "smtpd", "", "", Master, "Name of the entry of type pass in master.cf whose options hold for a service that screens its clients."},
        {"dnsblog_service_name", Text, "dnsblog", "", "", Unused, "Name of a service that is not needed here."},
        {"dnsblog_reply_delay", Time, "0s", "0s", "", Unused, "A delay for tests of the original."},

        // ---- address verification
        {"address_verify_cache_cleanup_interval", Time, "12h", "0s", "", Unused, "How often the original drops old results; here the file keeps its size, and they make room for others."},
        {"address_verify_map", Text, "$default_cache_db_type:$data_directory/verify_cache", "", "", Smtpd | Qmgr, "File of verified addresses: PATH.cache, whatever the type; empty for verify_cache in data_directory."},
        {"address_verify_negative_cache", Boolean, "yes", "", "", Qmgr, "Whether failures are kept."},
        {"address_verify_negative_expire_time", Time, "3d", "1s", "", Qmgr, "How long a failure holds at most."},
        {"address_verify_negative_refresh_time", Time, "3h", "1s", "", Smtpd, "After what time a failure is tested anew."},
        {"address_verify_pending_request_limit", Number, "5000", "1", "", Smtpd | Qmgr, "Most probes under way; by default a quarter of the active messages."},
        {"address_verify_poll_count", Number, "${stress?{1}:{3}}", "1", "", Smtpd, "How often to look for a probe's result before the client is told to come back."},
        {"address_verify_poll_delay", Time, "3s", "1s", "", Smtpd, "Pause between looks."},
        {"address_verify_positive_expire_time", Time, "31d", "1s", "", Qmgr, "How long a success holds at most."},
        {"address_verify_positive_refresh_time", Time, "7d", "1s", "", Smtpd, "After what time a success is tested anew."},
        {"address_verify_sender_ttl", Time, "0s", "0s", "", Smtpd | Qmgr, "How often the sender of probes changes; 0 for never."},
        {"address_verify_service_name", Text, "verify", "", "", Unused, "Name of a service that is not needed here."},
    };
    return rows;
}

} // namespace posthouse::config
