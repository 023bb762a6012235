// qmgr's parameters, see settings.h: read at start and again at a reload, by qmgr.cc.
#include "qmgr/settings.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/master_cf.h"
#include "lib/log/log.h"

#include <algorithm>
#include <cstdlib>
#include <unistd.h>
#include <utility>

namespace posthouse::qmgr {

namespace {

size_t processor_count()
{
    const long count = ::sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? static_cast<size_t>(count) : 1;
}

Feedback feedback(const config::Config& config, const std::string& transport, std::string_view suffix)
{
    const std::string text = config.transport_text(transport, suffix);
    auto parsed = Feedback::parse(text);
    if (parsed)
        return *parsed;
    log::warning(transport, suffix, ": ", parsed.error().text(), "; using 1");
    return Feedback();
}

double cohorts(const config::Config& config, const std::string& transport)
{
    const std::string text = config.transport_text(transport, "_destination_concurrency_failed_cohort_limit");
    return std::max(0.0, std::strtod(text.c_str(), nullptr));
}

// "user@host": a bare name of a parameter belongs to this system.
std::string complete(const std::string& address, const std::string& origin)
{
    return address.find('@') == std::string::npos ? cat(address, '@', origin) : address;
}

Notices notices_from(const config::Config& config)
{
    Notices notices;
    for (const std::string& name : config.list("notify_classes")) {
        notices.bounce |= name == "bounce";
        notices.double_bounce |= name == "2bounce";
        notices.delay |= name == "delay";
    }
    const std::string& origin = config.text("myorigin");
    notices.bounce_recipient = complete(config.text("bounce_notice_recipient"), origin);
    notices.double_bounce_recipient = complete(config.text("2bounce_notice_recipient"), origin);
    notices.delay_recipient = complete(config.text("delay_notice_recipient"), origin);
    notices.double_bounce_sender = complete(config.text("double_bounce_sender"), origin);
    notices.redact_requiretls = config.boolean("requiretls_redact_dsn");
    notices.size_limit = static_cast<uint64_t>(config.number("bounce_size_limit"));
    return notices;
}

} // namespace

Result<Settings> Settings::from_config(const config::Config& config)
{
    Settings settings;
    settings.config_ = &config;
    settings.active_limit = static_cast<size_t>(config.number("qmgr_message_active_limit"));
    settings.recipient_limit = static_cast<size_t>(config.number("qmgr_message_recipient_limit"));
    settings.retry.minimal_backoff_s = config.duration("minimal_backoff_time").whole_seconds();
    settings.retry.maximal_backoff_s = config.duration("maximal_backoff_time").whole_seconds();
    settings.retry.message_lifetime_s = config.duration("maximal_queue_lifetime").whole_seconds();
    settings.retry.bounce_lifetime_s = config.duration("bounce_queue_lifetime").whole_seconds();
    settings.retry.delay_warning_s = config.duration("delay_warning_time").whole_seconds();
    settings.defer_transports = config.list("defer_transports");
    settings.default_filter_nexthop = config.text("default_filter_nexthop");
    settings.soft_bounce = config.boolean("soft_bounce");
    settings.notices = notices_from(config);
    settings.pool.slot_size = static_cast<uint64_t>(config.number("queue_slot_size"));
    settings.pool.pool_size = static_cast<size_t>(config.number("queue_pool_size"));
    settings.pool.min_free = static_cast<uint64_t>(config.number("queue_minfree"));
    settings.queue_directory = config.text("queue_directory");
    settings.data_directory = config.text("data_directory");
    settings.hostname = config.text("myhostname");
    settings.origin = config.text("myorigin");
    settings.mail_name = config.text("mail_name");
    std::vector<config::Fault> faults;
    auto services = config::load_master_cf(config.directory(), config, faults);
    if (!services)
        return std::move(services.error());
    for (const config::Service& service : *services) {
        if (service.type == config::ServiceType::Inet || service.command.empty())
            continue;
        Entry& entry = settings.entries_[service.name];
        entry.program = service.command.front();
        entry.process_limit = service.process_limit;
    }
    return settings;
}

TransportSettings Settings::transport(const std::string& name) const
{
    TransportSettings transport;
    transport.name = name;
    transport.socket_path = cat(queue_directory, "/private/", name);
    const auto entry = entries_.find(name);
    const std::string& program = entry == entries_.end() ? name : entry->second.program;
    using Kind = TransportSettings::Kind;
    transport.kind = program == "error"     ? Kind::Error
                     : program == "retry"   ? Kind::Retry
                     : program == "discard" ? Kind::Discard
                                            : Kind::Agent;
    // "retry" is the error program under another name in Postfix's master.cf.
    if (name == "retry")
        transport.kind = Kind::Retry;
    const int processes = entry == entries_.end() ? -1 : entry->second.process_limit;
    transport.process_limit = processes > 0 ? static_cast<size_t>(processes) : processor_count();
    ConcurrencyLimits& concurrency = transport.concurrency;
    concurrency.initial =
        static_cast<unsigned>(std::max<int64_t>(1, config_->transport_number(name, "_initial_destination_concurrency")));
    concurrency.most = static_cast<unsigned>(config_->transport_number(name, "_destination_concurrency_limit"));
    concurrency.positive = feedback(*config_, name, "_destination_concurrency_positive_feedback");
    concurrency.negative = feedback(*config_, name, "_destination_concurrency_negative_feedback");
    concurrency.failed_cohorts = cohorts(*config_, name);
    concurrency.dead_time = Duration::seconds(retry.minimal_backoff_s);
    concurrency.rate_delay = config_->transport_duration(name, "_destination_rate_delay");
    const int64_t recipients = config_->transport_number(name, "_destination_recipient_limit");
    transport.recipient_limit = recipients > 0 ? static_cast<size_t>(recipients) : queue::most_recipients_in_delivery;
    transport.transport_rate_delay = config_->transport_duration(name, "_transport_rate_delay");
    transport.retry_time = config_->duration("transport_retry_time");
    return transport;
}

} // namespace posthouse::qmgr
