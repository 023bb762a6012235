// Parameters of qmgr: retries, concurrency, scheduling, notices.
#include "lib/config/params.h"

namespace posthouse::config {

std::span<const Parameter> queue_parameters()
{
    using enum Kind;
    using namespace use;
    static constexpr Parameter rows[] = {
        // ---- time
        {"maximal_queue_lifetime", Time, "5d", "0d", "8640d", Qmgr, "How long a message is tried before it goes back; 0 for one try."},
        {"bounce_queue_lifetime", Time, "5d", "0d", "8640d", Qmgr, "The same for mail without sender, such as notices."},
        {"minimal_backoff_time", Time, "300s", "1s", "", Qmgr | Smtp, "Shortest time between tries of a message, and the time for which a dead destination is left alone."},
        {"maximal_backoff_time", Time, "4000s", "1s", "", Qmgr, "Longest time between tries of a message."},
        {"queue_run_delay", Time, "300s", "1s", "", Unused, "How often the original looks through waiting mail; here each message is tried when it is due."},
        {"delay_warning_time", Time, "0h", "0s", "", Qmgr, "After what time the sender is told that a message waits; 0 for never."},
        {"confirm_delay_cleared", Boolean, "no", "", "", Later, "Whether the sender is told when a message that waited was delivered."},
        {"transport_retry_time", Time, "60s", "1s", "", Qmgr, "How long to wait before a delivery program that failed is tried again."},
        {"in_flow_delay", Time, "1s", "0s", "10s", Later, "How long intake pauses when mail comes in faster than it leaves; 0 for never."},

        // ---- space
        {"queue_minfree", Size, "0", "0", "", Smtpd | Pickup, "Free space in the queue's file system, in bytes, below which no mail is taken; at least 1.5 times message_size_limit holds."},
        {"qmgr_message_active_limit", Number, "20000", "1", "", Qmgr, "Most messages that are being delivered at a time."},
        {"qmgr_message_recipient_limit", Number, "20000", "1", "", Qmgr, "Most recipients that are held in memory."},
        {"qmgr_message_recipient_minimum", Number, "10", "1", "", Unused, "Recipients of a message in the memory of the original at least; here a message is read whole."},
        {"qmgr_clog_warn_time", Time, "300s", "0s", "", Later, "How often to warn that one destination fills the active queue; 0 for never."},
        {"qmgr_fudge_factor", Number, "100", "1", "100", Unused, "A setting of the original's old scheduler."},
        {"qmgr_daemon_timeout", Time, "1000s", "1s", "", Unused, "How long the original's scheduler may hang."},
        {"qmgr_ipc_timeout", Time, "60s", "1s", "", Unused, "How long the scheduler of the original waits for another program."},

        // ---- destinations
        {"initial_destination_concurrency", Number, "5", "1", "", Qmgr, "Deliveries to a destination at a time, to begin with."},
        {"default_destination_concurrency_limit", Number, "20", "0", "", Qmgr, "Most deliveries to a destination at a time; 0 for no limit."},
        {"default_destination_concurrency_positive_feedback", Text, "1", "", "", Qmgr, "How much a success adds to that: a number, 1/concurrency or 1/sqrt_concurrency."},
        {"default_destination_concurrency_negative_feedback", Text, "1", "", "", Qmgr, "How much a failure to connect takes from it."},
        {"default_destination_concurrency_failed_cohort_limit", Number, "1", "0", "", Qmgr, "How many times all deliveries to a destination fail before it counts as dead."},
        {"destination_concurrency_feedback_debug", Boolean, "no", "", "", Later, "Whether changes of concurrency are logged."},
        {"default_destination_recipient_limit", Number, "50", "0", "", Qmgr, "Most recipients of one delivery; 0 for no limit."},
        {"default_destination_rate_delay", Time, "0s", "0s", "", Qmgr, "Pause between deliveries to one destination."},
        {"default_transport_rate_delay", Time, "0s", "0s", "", Qmgr, "Pause between deliveries of one transport."},
        {"default_recipient_limit", Number, "20000", "1", "", Unused, "Most recipients of a transport in the memory of the original; here qmgr_message_recipient_limit holds for all."},
        {"default_extra_recipient_limit", Number, "1000", "0", "", Unused, "More of them for messages that overtake others; here qmgr_message_recipient_limit holds for all."},
        {"default_recipient_refill_limit", Number, "100", "1", "", Unused, "Recipients that the original reads at a time; here a message is read whole."},
        {"default_recipient_refill_delay", Time, "5s", "1s", "", Unused, "Longest time until the original reads recipients again; here a message is read whole."},
        {"default_delivery_slot_cost", Number, "5", "0", "", Unused, "Part of the scheduler of the original; here destinations take turns."},
        {"default_delivery_slot_loan", Number, "3", "0", "", Unused, "Part of the scheduler of the original; here destinations take turns."},
        {"default_delivery_slot_discount", Number, "50", "0", "100", Unused, "Part of the scheduler of the original; here destinations take turns."},
        {"default_minimum_delivery_slots", Number, "3", "0", "", Unused, "Part of the scheduler of the original; here destinations take turns."},
        {"local_destination_concurrency_limit", Number, "2", "0", "", Qmgr, "Most deliveries to one local recipient at a time."},
        {"local_destination_recipient_limit", Number, "1", "0", "", Qmgr, "Most recipients of one local delivery."},
        {"virtual_destination_recipient_limit", Number, "1", "0", "", Qmgr, "Most recipients of one delivery to virtual mailboxes."},
        {"defer_transports", List, "", "", "", Qmgr, "Transports whose mail waits until a queue run is asked for."},
        {"queue_service_name", Text, "qmgr", "", "", Unused, "Name of the queue's service, which is fixed here."},
        {"pickup_service_name", Text, "pickup", "", "", Unused, "Name of the pickup service, which is fixed here."},
        {"fast_flush_domains", List, "$relay_domains", "", "", Smtpd, "Destinations whose waiting mail a client may ask for by ETRN."},
        {"fast_flush_purge_time", Time, "7d", "1s", "", Unused, "How long the original keeps an empty list of waiting mail."},
        {"fast_flush_refresh_time", Time, "12h", "1s", "", Unused, "How often the original renews such lists."},
        {"flush_service_name", Text, "flush", "", "", Unused, "Name of a service that is not needed here."},
        {"showq_service_name", Text, "showq", "", "", Unused, "Name of a service that is not needed here."},
        {"error_service_name", Text, "error", "", "", Unused, "Name of the transport that returns mail, which is fixed here."},
        {"retry_service_name", Text, "retry", "", "", Unused, "Name of the transport that puts mail off, which is fixed here."},
        {"defer_service_name", Text, "defer", "", "", Unused, "Name of a service that is not needed here."},
        {"bounce_service_name", Text, "bounce", "", "", Unused, "Name of a service that is not needed here."},
        {"trace_service_name", Text, "trace", "", "", Unused, "Name of a service that is not needed here."},

        // ---- notices
        {"soft_bounce", Boolean, "no", "", "", All, "Whether mail waits and refusals are temporary where they would be final: for trying out a configuration."},
        {"double_bounce_sender", Text, "double-bounce", "", "", All, "Sender of notices that must not be answered; mail to it is dropped."},
        {"bounce_size_limit", Size, "50000", "0", "", Qmgr, "Most bytes of a message that go into a notice."},
        {"bounce_template_file", Text, "", "", "", Later, "File with texts for notices."},
        {"enable_threaded_bounces", Boolean, "no", "", "", Later, "Whether a notice refers to the message, so that mail programs show them together."},
        {"notify_classes", List, "resource, software", "", "", Qmgr, "What postmaster is told of: bounce, 2bounce, data, delay, policy, protocol, resource, software."},
        {"2bounce_notice_recipient", Text, "postmaster", "", "", Qmgr, "Who gets notices that could not be returned."},
        {"bounce_notice_recipient", Text, "postmaster", "", "", Qmgr, "Who gets copies of notices about returned mail."},
        {"delay_notice_recipient", Text, "postmaster", "", "", Qmgr, "Who gets copies of notices about waiting mail."},
        {"error_notice_recipient", Text, "postmaster", "", "", Unused, "Who gets notices of the original's own trouble; here they are in the log alone."},
        {"internal_mail_filter_classes", List, "", "", "", Later, "Kinds of mail from the suite itself that pass content filters."},
        {"default_verp_delimiters", Text, "+=", "", "", Later, "Characters that VERP puts around a recipient in the sender address."},
        {"verp_delimiter_filter", Text, "-=+", "", "", Later, "Characters allowed as such."},
        {"disable_verp_bounces", Boolean, "no", "", "", Later, "Whether VERP mail gets one notice instead of one for each recipient."},
        {"default_delivery_status_filter", Tables, "", "", "", Later, "Table that replaces the status of a delivery."},
    };
    return rows;
}

} // namespace posthouse::config
