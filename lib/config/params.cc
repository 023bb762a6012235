// The table of parameters, put together from the topics: see params.h.
#include "lib/config/params.h"

#include <algorithm>
#include <deque>
#include <string>

namespace posthouse::config {

namespace {

constexpr TransportSuffix suffixes[] = {
    // A longer suffix stands before the one that it ends with.
    {"_initial_destination_concurrency", "initial_destination_concurrency"},
    {"_destination_concurrency_failed_cohort_limit", "default_destination_concurrency_failed_cohort_limit"},
    {"_destination_concurrency_limit", "default_destination_concurrency_limit"},
    {"_destination_concurrency_negative_feedback", "default_destination_concurrency_negative_feedback"},
    {"_destination_concurrency_positive_feedback", "default_destination_concurrency_positive_feedback"},
    {"_destination_rate_delay", "default_destination_rate_delay"},
    {"_destination_recipient_limit", "default_destination_recipient_limit"},
    {"_transport_rate_delay", "default_transport_rate_delay"},
    {"_delivery_slot_cost", "default_delivery_slot_cost"},
    {"_delivery_slot_discount", "default_delivery_slot_discount"},
    {"_delivery_slot_loan", "default_delivery_slot_loan"},
    {"_minimum_delivery_slots", "default_minimum_delivery_slots"},
    {"_extra_recipient_limit", "default_extra_recipient_limit"},
    {"_recipient_limit", "default_recipient_limit"},
    {"_recipient_refill_delay", "default_recipient_refill_delay"},
    {"_recipient_refill_limit", "default_recipient_refill_limit"},
    {"_time_limit", "command_time_limit"},
};

// Rows whose use:: says Lmtp appear a second time, as lmtp_NAME.
void add_rows(std::vector<Parameter>& table, std::span<const Parameter> rows)
{
    static std::deque<std::string> twin_names;
    for (const Parameter& row : rows) {
        table.push_back(row);
        if ((row.used & use::Lmtp) == 0)
            continue;
        twin_names.push_back("lmtp" + std::string(row.name.substr(row.name.find('_'))));
        Parameter twin = row;
        twin.name = twin_names.back();
        table.push_back(twin);
    }
}

std::vector<Parameter> all_rows()
{
    std::vector<Parameter> table;
    add_rows(table, general_parameters());
    add_rows(table, address_parameters());
    add_rows(table, smtpd_parameters());
    add_rows(table, screening_parameters());
    add_rows(table, queue_parameters());
    add_rows(table, delivery_parameters());
    add_rows(table, smtp_parameters());
    add_rows(table, tls_parameters());
    add_rows(table, posthouse_parameters());
    std::sort(table.begin(), table.end(), [](const Parameter& a, const Parameter& b) { return a.name < b.name; });
    return table;
}

} // namespace

const std::vector<Parameter>& parameters()
{
    static const std::vector<Parameter> table = all_rows();
    return table;
}

const Parameter* find_parameter(std::string_view name)
{
    const auto& table = parameters();
    auto at = std::lower_bound(table.begin(), table.end(), name,
                               [](const Parameter& p, std::string_view wanted) { return p.name < wanted; });
    return at != table.end() && at->name == name ? &*at : nullptr;
}

std::span<const TransportSuffix> transport_suffixes()
{
    return suffixes;
}

const TransportSuffix* transport_suffix_of(std::string_view name)
{
    for (const TransportSuffix& suffix : suffixes)
        if (name.size() > suffix.suffix.size() && name.ends_with(suffix.suffix))
            return &suffix;
    return nullptr;
}

} // namespace posthouse::config
