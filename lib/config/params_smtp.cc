// Parameters of smtp, the client for SMTP and LMTP.
#include "lib/config/params.h"

namespace posthouse::config {

std::span<const Parameter> smtp_parameters()
{
    using enum Kind;
    using namespace use;
    // Both: there is an lmtp_ twin with the same default.
    constexpr uint32_t Both = Smtp | Lmtp;
    constexpr uint32_t BothLater = Smtp | Lmtp | Later;
    static constexpr Parameter rows[] = {
        // ---- where to
        {"smtp_host_lookup", List, "dns", "", "", Both, "Where names of hosts are looked up: dns, native, or both."},
        {"smtp_dns_resolver_options", List, "", "", "", BothLater, "Options of the resolver: res_defnames, res_dnsrch."},
        {"smtp_dns_support_level", Choice, "", "disabled|enabled|dnssec|", "", BothLater, "Whether DNS is used, and whether its signatures count."},
        {"disable_dns_lookups", Boolean, "no", "", "", Smtp, "Whether no DNS is used at all."},
        {"ignore_mx_lookup_error", Boolean, "no", "", "", Smtp, "Whether a failing MX lookup counts as no MX."},
        {"smtp_mx_address_limit", Number, "5", "0", "", Both, "Most addresses of a destination that are tried; 0 for all."},
        {"smtp_mx_session_limit", Number, "2", "0", "", Both, "Most sessions with a destination that are tried in one delivery; 0 for all."},
        {"smtp_randomize_addresses", Boolean, "yes", "", "", Both, "Whether hosts of equal preference are tried in random order."},
        {"smtp_address_preference", Choice, "any", "any|ipv4|ipv6", "", Both, "Which address family comes first among equals."},
        {"smtp_balance_inet_protocols", Boolean, "yes", "", "", Both, "Whether both address families keep a place among smtp_mx_address_limit."},
        {"smtp_fallback_relay", List, "$fallback_relay", "", "", Smtp, "Hosts that are tried when a destination is not found or not reached."},
        {"lmtp_fallback_relay", List, "", "", "", Smtp, "The same for LMTP."},
        {"fallback_relay", List, "", "", "", Smtp, "Old name of smtp_fallback_relay."},
        {"best_mx_transport", Text, "", "", "", Later, "Transport for mail whose best MX is this host, instead of an error."},
        {"smtp_cname_overrides_servername", Boolean, "no", "", "", BothLater, "Whether the name behind a CNAME is the one that counts."},
        {"smtp_bind_address", Text, "", "", "", Both, "IPv4 address from which connections are made."},
        {"smtp_bind_address6", Text, "", "", "", Both, "IPv6 address from which connections are made."},
        {"smtp_bind_address_enforce", Boolean, "no", "", "", Both, "Whether mail waits when that address cannot be used."},
        {"smtp_tcp_port", Text, "smtp", "", "", Smtp, "Port to connect to when the next hop has none."},
        {"lmtp_tcp_port", Text, "24", "", "", Smtp, "The same for LMTP."},
        {"use_srv_lookup", List, "", "", "", Later, "Destinations for which SRV records count."},
        {"allow_srv_lookup_fallback", Boolean, "no", "", "", Later, "Whether MX records count where SRV records are missing."},
        {"ignore_srv_lookup_error", Boolean, "no", "", "", Later, "Whether a failing SRV lookup counts as no SRV record."},
        {"smtp_dns_reply_filter", Tables, "", "", "", BothLater, "Table that changes or drops DNS records before smtp uses them."},

        // ---- time
        {"smtp_connect_timeout", Time, "30s", "0s", "", Smtp, "How long to wait for a connection."},
        {"lmtp_connect_timeout", Time, "0s", "0s", "", Smtp, "The same for LMTP; 0 leaves it to the system."},
        {"smtp_helo_timeout", Time, "300s", "1s", "", Smtp, "How long to wait for the greeting and for the answer to EHLO."},
        {"lmtp_lhlo_timeout", Time, "300s", "1s", "", Smtp, "The same for LMTP."},
        {"smtp_xforward_timeout", Time, "300s", "1s", "", Both, "How long to wait for the answer to XFORWARD."},
        {"smtp_mail_timeout", Time, "300s", "1s", "", Both, "How long to wait for the answer to MAIL."},
        {"smtp_rcpt_timeout", Time, "300s", "1s", "", Both, "How long to wait for the answer to RCPT."},
        {"smtp_data_init_timeout", Time, "120s", "1s", "", Both, "How long to wait for the answer to DATA."},
        {"smtp_data_xfer_timeout", Time, "180s", "1s", "", Both, "How long sending a piece of content may take."},
        {"smtp_data_done_timeout", Time, "600s", "1s", "", Both, "How long to wait for the answer to the content."},
        {"smtp_rset_timeout", Time, "20s", "1s", "", Both, "How long to wait for the answer to RSET."},
        {"smtp_quit_timeout", Time, "300s", "1s", "", Both, "How long to wait for the answer to QUIT."},
        {"smtp_per_request_deadline", Boolean, "no", "", "", Both, "Whether these times bound a whole command instead of each read and write."},
        {"smtp_min_data_rate", Number, "500", "1", "", Both, "Bytes a second that extend such a deadline while content is sent."},
        {"smtp_starttls_timeout", Time, "300s", "1s", "", BothLater, "How long a TLS handshake may take."},

        // ---- the dialogue
        {"smtp_helo_name", Text, "$myhostname", "", "", Smtp, "Name in EHLO and HELO."},
        {"lmtp_lhlo_name", Text, "$myhostname", "", "", Smtp, "Name in LHLO."},
        {"smtp_always_send_ehlo", Boolean, "yes", "", "", Smtp, "Whether EHLO is said to servers that do not speak of ESMTP."},
        {"smtp_never_send_ehlo", Boolean, "no", "", "", Smtp, "Whether HELO is said always."},
        {"smtp_skip_4xx_greeting", Boolean, "yes", "", "", Unused, "Old choice; a 4xx greeting always leads to the next host."},
        {"smtp_skip_5xx_greeting", Boolean, "yes", "", "", Both, "Whether a 5xx greeting leads to the next host."},
        {"smtp_skip_quit_response", Boolean, "yes", "", "", Smtp, "Whether the answer to QUIT is not waited for."},
        {"lmtp_skip_quit_response", Boolean, "no", "", "", Smtp, "The same for LMTP."},
        {"smtp_quote_rfc821_envelope", Boolean, "yes", "", "", BothLater, "Whether local parts are quoted where the grammar needs it."},
        {"smtp_defer_if_no_mx_address_found", Boolean, "no", "", "", Both, "Whether mail waits when no MX host has an address."},
        {"smtp_discard_ehlo_keywords", List, "", "", "", Both, "EHLO keywords of servers that are ignored."},
        {"smtp_discard_ehlo_keyword_address_maps", Tables, "", "", "", BothLater, "Tables of EHLO keywords that are ignored, by server address."},
        {"smtp_send_xforward_command", Boolean, "no", "", "", Both, "Whether XFORWARD tells the server where the message came from."},
        {"smtp_send_dummy_mail_auth", Boolean, "no", "", "", BothLater, "Whether MAIL says AUTH=<> after authentication."},
        {"smtp_reply_filter", Tables, "", "", "", BothLater, "Table that replaces a line of a server's reply."},
        {"smtp_delivery_status_filter", Tables, "$default_delivery_status_filter", "", "", BothLater, "Table that replaces the status of a delivery."},
        {"smtp_pix_workaround_threshold_time", Time, "500s", "1s", "", BothLater, "Age of a message from which the workarounds for PIX firewalls are tried."},
        {"smtp_pix_workaround_delay_time", Time, "10s", "1s", "", BothLater, "Pause that one of these workarounds makes."},
        {"smtp_pix_workarounds", List, "disable_esmtp, delay_dotcrlf", "", "", BothLater, "Workarounds for PIX firewalls."},
        {"smtp_pix_workaround_maps", Tables, "", "", "", BothLater, "Tables of such workarounds, by server address."},
        {"smtp_line_length_limit", Number, "998", "0", "", Both, "Longest line that is sent in one piece; 0 for no limit."},
        {"smtp_assume_final", Boolean, "no", "", "", BothLater, "Whether a server without DSN counts as the last one."},
        {"smtp_header_checks", Tables, "", "", "", BothLater, "Tables of patterns that act on header fields as they are sent."},
        {"smtp_mime_header_checks", Tables, "", "", "", BothLater, "The same for header fields of MIME parts."},
        {"smtp_nested_header_checks", Tables, "", "", "", BothLater, "The same for header fields of attached messages."},
        {"smtp_body_checks", Tables, "", "", "", BothLater, "The same for lines of the body."},
        {"smtp_generic_maps", Tables, "", "", "", BothLater, "Tables that replace addresses as mail leaves for another host."},

        // ---- connections used again
        {"smtp_connection_cache_on_demand", Boolean, "yes", "", "", Both, "Whether a connection is kept while more mail waits for the same place."},
        {"smtp_connection_cache_destinations", List, "", "", "", Both, "Destinations whose connections are always kept."},
        {"smtp_connection_cache_time_limit", Time, "2s", "1s", "", Both, "How long an unused connection is kept."},
        {"smtp_connection_reuse_time_limit", Time, "300s", "1s", "", Both, "How long a connection is used at most."},
        {"smtp_connection_reuse_count_limit", Number, "0", "0", "", Both, "For how many deliveries a connection is used at most; 0 for no limit."},
        {"connection_cache_protocol_timeout", Time, "5s", "1s", "", Unused, "How long to wait for the original's connection cache."},
        {"connection_cache_service_name", Text, "scache", "", "", Unused, "Name of a service that is not needed here."},
        {"connection_cache_status_update_time", Time, "600s", "1s", "", Unused, "How often the original's connection cache logs its peaks."},
        {"connection_cache_ttl_limit", Time, "2s", "1s", "", Unused, "Longest time that the original's connection cache allows."},
        {"lmtp_cache_connection", Boolean, "yes", "", "", Unused, "Old name of lmtp_connection_cache_on_demand."},

        // ---- SASL, client
        {"smtp_sasl_auth_enable", Boolean, "no", "", "", BothLater, "Whether smtp logs in where it has a password."},
        {"smtp_sasl_auth_enforce", Boolean, "yes", "", "", BothLater, "Whether mail waits when the login fails."},
        {"smtp_sasl_auth_cache_name", Text, "", "", "", BothLater, "Table that remembers failed logins."},
        {"smtp_sasl_auth_cache_time", Time, "90d", "1s", "", BothLater, "How long a failed login is remembered."},
        {"smtp_sasl_auth_soft_bounce", Boolean, "yes", "", "", BothLater, "Whether mail waits instead of going back when a login is refused."},
        {"smtp_sasl_mechanism_filter", List, "", "", "", BothLater, "Mechanisms that are used."},
        {"smtp_sasl_password_maps", Tables, "", "", "", BothLater, "Tables of user name and password, by destination."},
        {"smtp_sasl_password_result_delimiter", Text, ":", "", "", BothLater, "What stands between user name and password there."},
        {"smtp_sasl_path", Text, "", "", "", BothLater, "Setting of the authentication library."},
        {"smtp_sasl_security_options", List, "noplaintext, noanonymous", "", "", BothLater, "Mechanisms that are not used."},
        {"smtp_sasl_tls_security_options", List, "$smtp_sasl_security_options", "", "", Later, "The same within TLS."},
        {"lmtp_sasl_tls_security_options", List, "$lmtp_sasl_security_options", "", "", Later, "The same within TLS, for LMTP."},
        {"smtp_sasl_tls_verified_security_options", List, "$smtp_sasl_tls_security_options", "", "", Later, "The same within TLS with a verified server."},
        {"lmtp_sasl_tls_verified_security_options", List, "$lmtp_sasl_tls_security_options", "", "", Later, "The same within TLS with a verified server, for LMTP."},
        {"smtp_sasl_type", Text, "cyrus", "", "", BothLater, "Kind of authentication library."},
        {"smtp_sender_dependent_authentication", Boolean, "no", "", "", BothLater, "Whether the sender chooses the login."},
    };
    return rows;
}

} // namespace posthouse::config
