// smtpd's parameters, see settings.h. Restrictions and tables are not among them: server.cc opens those.
#include "smtpd/settings.h"

#include "lib/base/ascii.h"
#include "lib/config/config.h"
#include "lib/log/log.h"

#include <algorithm>

namespace posthouse::smtpd {

namespace {

struct KeywordName {
    std::string_view name;
    uint32_t bit;
};
constexpr KeywordName keyword_names[] = {
    {"8bitmime", Ehlo8bitMime},
    {"auth", EhloAuth},
    {"chunking", EhloChunking},
    {"dsn", EhloDsn},
    {"enhancedstatuscodes", EhloEnhancedStatusCodes},
    {"etrn", EhloEtrn},
    {"limits", EhloLimits},
    {"pipelining", EhloPipelining},
    {"requiretls", EhloRequireTls},
    {"silent-discard", EhloSilentDiscard},
    {"size", EhloSize},
    {"smtputf8", EhloSmtpUtf8},
    {"starttls", EhloStartTls},
    {"verp", 0}, // never offered
    {"vrfy", EhloVrfy},
    {"xclient", EhloXclient},
    {"xforward", EhloXforward},
};

// Its words beside yes and no, which older configurations use.
BareNewline bare_newline_mode(std::string_view value)
{
    if (ascii::equal(value, "normalize") || ascii::equal(value, "yes"))
        return BareNewline::Normalize;
    if (ascii::equal(value, "reject"))
        return BareNewline::Reject;
    if (ascii::equal(value, "note"))
        return BareNewline::Note;
    return BareNewline::Accept;
}

// Numbers below zero in main.cf mean "no limit", as zero does.
template <class Unsigned>
Unsigned limit(const config::Config& config, std::string_view name)
{
    return static_cast<Unsigned>(std::max<int64_t>(0, config.number(name)));
}

// The values of reject_tempfail_action and its kin.
bool defers_at_once(std::string_view action)
{
    if (!ascii::equal(action, "defer") && !ascii::equal(action, "defer_if_permit"))
        log::warning("bad tempfail action \"", action, "\": expected defer or defer_if_permit; taken as defer_if_permit");
    return ascii::equal(action, "defer");
}

bool lists(const config::Config& config, std::string_view parameter, std::string_view word)
{
    const auto words = config.list(parameter);
    return std::any_of(words.begin(), words.end(), [&](const std::string& w) { return ascii::equal(w, word); });
}

} // namespace

uint32_t parse_ehlo_keywords(std::string_view list)
{
    uint32_t bits = 0;
    for (std::string_view word : ascii::split(list, ", \t\r\n")) {
        const auto* found = std::find_if(std::begin(keyword_names), std::end(keyword_names),
                                         [&](const KeywordName& k) { return ascii::equal(k.name, word); });
        if (found == std::end(keyword_names))
            log::warning("unknown EHLO keyword to discard: ", word);
        else
            bits |= found->bit;
    }
    return bits;
}

Settings::Settings(const config::Config& config)
    : hostname(config.text("myhostname")),
      mail_name(config.text("mail_name")),
      banner(config.text("smtpd_banner")),
      queue_directory(config.text("queue_directory")),
      message_size_limit(config.number("message_size_limit")),
      queue_minfree(config.number("queue_minfree")),
      line_length_limit(limit<size_t>(config, "line_length_limit")),
      recipient_limit(limit<size_t>(config, "smtpd_recipient_limit")),
      recipient_overshoot_limit(limit<size_t>(config, "smtpd_recipient_overshoot_limit")),
      soft_error_limit(limit<int>(config, "smtpd_soft_error_limit")),
      hard_error_limit(limit<int>(config, "smtpd_hard_error_limit")),
      junk_command_limit(limit<int>(config, "smtpd_junk_command_limit")),
      connection_count_limit(limit<uint32_t>(config, "smtpd_client_connection_count_limit")),
      connection_rate_limit(limit<uint32_t>(config, "smtpd_client_connection_rate_limit")),
      message_rate_limit(limit<uint32_t>(config, "smtpd_client_message_rate_limit")),
      recipient_rate_limit(limit<uint32_t>(config, "smtpd_client_recipient_rate_limit")),
      tls_session_rate_limit(limit<uint32_t>(config, "smtpd_client_new_tls_session_rate_limit")),
      auth_rate_limit(limit<uint32_t>(config, "smtpd_client_auth_rate_limit")),
      rate_time_unit(config.duration("anvil_rate_time_unit")),
      ipv4_prefix(limit<int>(config, "smtpd_client_ipv4_prefix_length")),
      ipv6_prefix(limit<int>(config, "smtpd_client_ipv6_prefix_length")),
      timeout(config.duration("smtpd_timeout")),
      per_request_deadline(config.boolean("smtpd_per_request_deadline")),
      min_data_rate(config.number("smtpd_min_data_rate")),
      error_sleep_time(config.duration("smtpd_error_sleep_time")),
      dns_timeout(config.duration("smtpd_dns_timeout")),
      queue_timeout(config.duration("smtpd_queue_timeout")),
      etrn_interval(config.duration("smtpd_etrn_interval")),
      helo_required(config.boolean("smtpd_helo_required")),
      delay_reject(config.boolean("smtpd_delay_reject")),
      disable_vrfy(config.boolean("disable_vrfy_command")),
      strict_envelopes(config.boolean("strict_rfc821_envelopes")),
      smtputf8_enable(config.boolean("smtputf8_enable")),
      requiretls_enable(config.boolean("requiretls_enable")),
      strict_smtputf8(config.boolean("strict_smtputf8")),
      allow_hyphen_first(config.boolean("allow_min_user")),
      detect_smtputf8(smtputf8_enable && (lists(config, "smtputf8_autodetect_classes", "smtpd")
                                          || lists(config, "smtputf8_autodetect_classes", "all"))),
      peername_lookup(config.boolean("smtpd_peername_lookup")),
      forbid_unauth_pipelining(config.boolean("smtpd_forbid_unauth_pipelining")),
      relay_before_recipient(config.boolean("smtpd_relay_before_recipient_restrictions")),
      reject_unlisted_recipient(config.boolean("smtpd_reject_unlisted_recipient")),
      reject_unlisted_sender(config.boolean("smtpd_reject_unlisted_sender")),
      allow_untrusted_routing(config.boolean("allow_untrusted_routing")),
      soft_bounce(config.boolean("soft_bounce")),
      client_port_logging(config.boolean("smtpd_client_port_logging")),
      hide_client_session(config.boolean("smtpd_hide_client_session")),
      overrides(config),
      forbid_bare_newline(bare_newline_mode(config.text("smtpd_forbid_bare_newline"))),
      bare_newline_reject_code(limit<int>(config, "smtpd_forbid_bare_newline_reject_code")),
      discard_ehlo_keywords(parse_ehlo_keywords(config.text("smtpd_discard_ehlo_keywords"))),
      noop_commands(config.list("smtpd_noop_commands")),
      content_filter(config.text("content_filter")),
      null_access_key(config.text("smtpd_null_access_lookup_key")),
      recipient_delimiter(config.text("recipient_delimiter")),
      access_parent_domains(lists(config, "parent_domain_matches_subdomains", "smtpd_access_maps")),
      access_reject_code(limit<int>(config, "access_map_reject_code")),
      access_defer_code(limit<int>(config, "access_map_defer_code")),
      reject_code(limit<int>(config, "reject_code")),
      defer_code(limit<int>(config, "defer_code")),
      relay_reject_code(limit<int>(config, "relay_domains_reject_code")),
      non_fqdn_code(limit<int>(config, "non_fqdn_reject_code")),
      invalid_hostname_code(limit<int>(config, "invalid_hostname_reject_code")),
      unknown_client_code(limit<int>(config, "unknown_client_reject_code")),
      unknown_hostname_code(limit<int>(config, "unknown_hostname_reject_code")),
      unknown_address_code(limit<int>(config, "unknown_address_reject_code")),
      multi_recipient_bounce_code(limit<int>(config, "multi_recipient_bounce_reject_code")),
      plaintext_code(limit<int>(config, "plaintext_reject_code")),
      rbl_code(limit<int>(config, "maps_rbl_reject_code")),
      default_rbl_reply(config.text("default_rbl_reply")),
      expansion_filter(config.text("smtpd_expansion_filter")),
      defer_unknown_address(defers_at_once(config.text("unknown_address_tempfail_action"))),
      defer_unknown_helo(defers_at_once(config.text("unknown_helo_hostname_tempfail_action"))),
      stress(config.text("stress")),
      compatibility_level(config.text("compatibility_level")),
      mail_version(config.text("mail_version"))
{
}

} // namespace posthouse::smtpd
