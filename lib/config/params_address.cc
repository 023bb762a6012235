// Parameters: address classes, rewriting, and the tables behind them; header clean-up at intake.
#include "lib/config/params.h"

namespace posthouse::config {

std::span<const Parameter> address_parameters()
{
    using enum Kind;
    using namespace use;
    static constexpr Parameter rows[] = {
        // ---- completion and syntax
        {"recipient_delimiter", Text, "", "", "", All, "Characters that part a user name from an extension, as in user+folder."},
        {"append_at_myorigin", Boolean, "yes", "", "", Intake, "Whether an address without domain gets @$myorigin."},
        {"append_dot_mydomain", Boolean, "${{$compatibility_level} <level {1} ? {yes} : {no}}", "", "", Intake, "Whether a domain without a dot gets .$mydomain."},
        {"allow_percent_hack", Boolean, "yes", "", "", Intake, "Whether user%domain without @ means user@domain."},
        {"swap_bangpath", Boolean, "yes", "", "", Intake, "Whether site!user means user@site."},
        {"allow_min_user", Boolean, "no", "", "", Intake, "Whether an address may begin with a hyphen, which a command could take for an option."},
        {"allow_untrusted_routing", Boolean, "no", "", "", Smtpd, "Whether strangers may send by way of this host to user@elsewhere@here and its like."},
        {"resolve_dequoted_address", Boolean, "yes", "", "", Intake, "Whether quotes around a local part are taken off before it is searched for @, % and !."},
        {"resolve_null_domain", Boolean, "no", "", "", Later, "Whether an address that ends in @ is taken for a local one instead of an error."},
        {"resolve_numeric_domain", Boolean, "no", "", "", Later, "Whether user@1.2.3.4 means user@[1.2.3.4]."},
        {"empty_address_recipient", Text, "MAILER-DAEMON", "", "", Unused, "Who gets mail to the null address; here no message has such a recipient."},
        {"empty_address_relayhost_maps_lookup_key", Text, "<>", "", "", Smtpd | Qmgr, "Key for the null sender in sender_dependent_relayhost_maps."},
        {"empty_address_default_transport_maps_lookup_key", Text, "<>", "", "", Smtpd | Qmgr, "Key for the null sender in sender_dependent_default_transport_maps."},
        {"sun_mailtool_compatibility", Boolean, "no", "", "", Unused, "Compatibility with a program of long ago."},
        {"strict_7bit_headers", Boolean, "no", "", "", Smtpd | Pickup, "Whether mail with bytes above 127 in its header is refused."},
        {"strict_8bitmime", Boolean, "no", "", "", Smtpd | Pickup, "Turns on strict_7bit_headers and strict_8bitmime_body."},
        {"strict_8bitmime_body", Boolean, "no", "", "", Smtpd | Pickup, "Whether mail with bytes above 127 in a part that does not announce them is refused."},
        {"strict_mime_encoding_domain", Boolean, "no", "", "", Smtpd | Pickup, "Whether mail with a forbidden encoding of a multipart or message part is refused."},
        {"strict_mailbox_ownership", Boolean, "yes", "", "", Local, "Whether a mailbox file has to belong to its recipient."},
        {"smtputf8_enable", Boolean, "${{$compatibility_level} <level {1} ? {no} : {yes}}", "", "", All, "Whether SMTPUTF8 is offered and used."},
        {"strict_smtputf8", Boolean, "no", "", "", Smtpd, "Whether UTF-8 addresses are refused unless the client asks for SMTPUTF8."},
        {"smtputf8_autodetect_classes", List, "sendmail, verify", "", "", Intake, "Kinds of mail that are marked SMTPUTF8 when their content needs it."},
        {"enable_idna2003_compatibility", Boolean, "no", "", "", Later, "Whether international domain names follow the older rules."},

        // ---- rewriting
        {"local_header_rewrite_clients", List, "permit_inet_interfaces", "", "", Smtpd, "Clients whose header addresses are completed as if the mail were written on this host."},
        {"remote_header_rewrite_domain", Text, "", "", "", Smtpd, "Domain that completes header addresses of all other clients; empty leaves them alone."},
        {"canonical_maps", Tables, "", "", "", Intake, "Tables that replace addresses in envelopes and headers."},
        {"canonical_classes", List, "envelope_sender, envelope_recipient, header_sender, header_recipient", "", "", Intake, "Which addresses canonical_maps replaces."},
        {"sender_canonical_maps", Tables, "", "", "", Intake, "Tables that replace sender addresses, before canonical_maps."},
        {"sender_canonical_classes", List, "envelope_sender, header_sender", "", "", Intake, "Which addresses sender_canonical_maps replaces."},
        {"recipient_canonical_maps", Tables, "", "", "", Intake, "Tables that replace recipient addresses, before canonical_maps."},
        {"recipient_canonical_classes", List, "envelope_recipient, header_recipient", "", "", Intake, "Which addresses recipient_canonical_maps replaces."},
        {"masquerade_domains", List, "", "", "", Intake, "Domains that replace their subdomains in sender addresses; ! before one makes an exception."},
        {"masquerade_classes", List, "envelope_sender, header_sender, header_recipient", "", "", Intake, "Which addresses masquerade_domains applies to."},
        {"masquerade_exceptions", List, "", "", "", Intake, "User names that are not masqueraded."},
        {"propagate_unmatched_extensions", List, "canonical, virtual", "", "", Intake | Local, "Which lookups carry an address extension over to their result."},
        {"rewrite_service_name", Text, "rewrite", "", "", Unused, "Name of a service that is not needed here."},
        {"virtual_maps", Tables, "", "", "", Intake, "Old name of virtual_alias_maps."},
        {"virtual_alias_maps", Tables, "$virtual_maps", "", "", Intake, "Tables that replace recipients by others, local or not."},
        {"virtual_alias_domains", List, "$virtual_alias_maps", "", "", All, "Domains all of whose addresses stand in virtual_alias_maps."},
        {"virtual_alias_expansion_limit", Number, "1000", "1", "", Intake, "Most recipients that one may become."},
        {"virtual_alias_recursion_limit", Number, "1000", "1", "", Intake, "Deepest nesting of virtual aliases."},
        {"virtual_alias_address_length_limit", Number, "1000", "1", "", Intake, "Longest address that may come out of virtual_alias_maps."},
        {"relocated_maps", Tables, "", "", "", Qmgr | Smtpd, "Tables of users who have moved, with their new places."},
        {"address_verify_sender", Text, "$double_bounce_sender", "", "", Smtpd | Qmgr, "Sender of probes for address verification."},

        // ---- classes and routing
        {"local_recipient_maps", Tables, "proxy:unix:passwd.byname $alias_maps", "", "", Smtpd | Qmgr, "Tables of all local recipients; empty accepts any."},
        {"local_transport", Text, "local:$myhostname", "", "", Qmgr | Smtpd, "Transport and next hop for mydestination and the host's own addresses."},
        {"virtual_mailbox_domains", List, "$virtual_mailbox_maps", "", "", All, "Domains delivered to mailboxes without accounts."},
        {"virtual_mailbox_maps", Tables, "", "", "", Smtpd | Qmgr | Local, "Tables of virtual mailboxes, by address, with paths below virtual_mailbox_base."},
        {"virtual_transport", Text, "virtual", "", "", Qmgr | Smtpd, "Transport and next hop for virtual_mailbox_domains."},
        {"relay_domains", List, "", "", "", All, "Domains of other hosts for which this one takes mail."},
        {"relay_recipient_maps", Tables, "", "", "", Smtpd | Qmgr, "Tables of all recipients in relay_domains; empty accepts any."},
        {"relay_transport", Text, "relay", "", "", Qmgr | Smtpd, "Transport and next hop for relay_domains."},
        {"default_transport", Text, "smtp", "", "", Qmgr | Smtpd, "Transport and next hop for all other domains."},
        {"transport_maps", Tables, "", "", "", Qmgr | Smtpd, "Tables that name transport and next hop for addresses and domains."},
        {"relayhost", List, "", "", "", Qmgr | Smtpd, "Next hop for mail to other domains."},
        {"sender_dependent_relayhost_maps", Tables, "", "", "", Qmgr | Smtpd, "Tables that name another relayhost for a sender."},
        {"sender_dependent_default_transport_maps", Tables, "", "", "", Qmgr | Smtpd, "Tables that name another default_transport for a sender."},
        {"address_verify_local_transport", Text, "$local_transport", "", "", Qmgr, "Replaces local_transport for probes."},
        {"address_verify_virtual_transport", Text, "$virtual_transport", "", "", Qmgr, "Replaces virtual_transport for probes."},
        {"address_verify_relay_transport", Text, "$relay_transport", "", "", Qmgr, "Replaces relay_transport for probes."},
        {"address_verify_default_transport", Text, "$default_transport", "", "", Qmgr, "Replaces default_transport for probes."},
        {"address_verify_transport_maps", Tables, "$transport_maps", "", "", Qmgr, "Replaces transport_maps for probes."},
        {"address_verify_relayhost", List, "$relayhost", "", "", Qmgr, "Replaces relayhost for probes."},
        {"address_verify_sender_dependent_relayhost_maps", Tables, "$sender_dependent_relayhost_maps", "", "", Qmgr, "Replaces sender_dependent_relayhost_maps for probes."},
        {"address_verify_sender_dependent_default_transport_maps", Tables, "$sender_dependent_default_transport_maps", "", "", Qmgr, "Replaces sender_dependent_default_transport_maps for probes."},

        // ---- copies
        {"always_bcc", Text, "", "", "", Intake, "Address that gets a copy of every message."},
        {"sender_bcc_maps", Tables, "", "", "", Intake, "Tables of addresses that get a copy, by sender."},
        {"recipient_bcc_maps", Tables, "", "", "", Intake, "Tables of addresses that get a copy, by recipient."},

        // ---- headers
        {"always_add_missing_headers", Boolean, "no", "", "", Intake, "Whether From:, Date: and Message-ID: are added for clients elsewhere too."},
        {"header_from_format", Choice, "standard", "standard|obsolete", "", Intake, "Form of a From: field that is added: name before or behind the address."},
        {"enable_original_recipient", Boolean, "yes", "", "", Intake, "Whether the recipient address before rewriting is kept with a message."},
        {"undisclosed_recipients_header", Text, "", "", "", Intake, "Field that is added to a message without To:, Cc: or Bcc:."},
        {"message_drop_headers", List, "bcc, content-length, resent-bcc, return-path", "", "", Intake, "Fields that are taken out of every message."},
        {"message_reject_characters", Text, "", "", "", Later, "Characters with which a message is refused, written as in C."},
        {"message_strip_characters", Text, "", "", "", Later, "Characters that are taken out of messages, written as in C."},
        {"non_empty_end_of_header_action", Choice, "fix_quietly", "fix_quietly|add_header|reject", "", Later, "What is done with a message whose header ends without an empty line."},
        {"cleanup_replace_stray_cr_lf", Boolean, "yes", "", "", Unused, "Whether a CR or LF that ends no line becomes a space; none is ever kept here."},
        {"duplicate_filter_limit", Number, "1000", "0", "", Unused, "Most addresses that the original remembers to leave out duplicates; here all of a message are."},
        {"header_checks", Tables, "", "", "", Smtpd | Pickup, "Tables of patterns that act on header fields."},
        {"mime_header_checks", Tables, "$header_checks", "", "", Smtpd | Pickup, "Tables of patterns that act on header fields of MIME parts."},
        {"nested_header_checks", Tables, "$header_checks", "", "", Smtpd | Pickup, "Tables of patterns that act on header fields of attached messages."},
        {"body_checks", Tables, "", "", "", Smtpd | Pickup, "Tables of patterns that act on lines of the body."},
        {"body_checks_size_limit", Size, "51200", "1", "", Smtpd | Pickup, "How much of each part body_checks looks at, in bytes."},
        {"milter_header_checks", Tables, "", "", "", Later, "Tables of patterns that act on header fields which milters add."},
        {"disable_mime_input_processing", Boolean, "no", "", "", Smtpd | Pickup, "Whether MIME structure is left unread at intake."},
        {"disable_mime_output_conversion", Boolean, "no", "", "", Smtp, "Whether 8-bit mail goes as it is to hosts that do not offer 8BITMIME."},
        {"force_mime_input_conversion", Boolean, "no", "", "", Later, "Whether 8-bit parts become quoted-printable or base64 at intake."},
        {"detect_8bit_encoding_header", Boolean, "yes", "", "", Later, "Whether mail is taken for 8-bit when its header says so."},
        {"receive_override_options", List, "", "", "", Smtpd | Pickup, "Steps of intake that are left out, to be set by -o before or behind a content filter."},
        {"content_filter", Text, "", "", "", Smtpd | Pickup, "Transport and next hop through which all mail passes once before delivery."},
        {"default_filter_nexthop", Text, "", "", "", Qmgr, "Next hop of a content_filter or FILTER without one; empty for the domain of each recipient."},
        {"cleanup_service_name", Text, "cleanup", "", "", Unused, "Name of a service that is not needed here."},
        {"requiretls_enable", Boolean, "yes", "", "", Smtpd | Smtp, "Whether the REQUIRETLS extension is offered and honoured."},
        {"requiretls_redact_dsn", Boolean, "yes", "", "", Qmgr, "Whether notices about REQUIRETLS mail leave its content out."},
        {"tls_required_enable", Boolean, "yes", "", "", Intake, "Whether the field TLS-Required: no is honoured."},
    };
    return rows;
}

} // namespace posthouse::config
