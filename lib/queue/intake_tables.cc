// Settings and tables of intake, and what they do to the envelope.
#include "lib/queue/intake_tables.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/queue/intake.h"

#include <iterator>
#include <unordered_set>
#include <utility>

namespace posthouse::queue {

IntakeTables::IntakeTables() : impl_(std::make_unique<Impl>()) {}
IntakeTables::~IntakeTables() = default;

Result<std::unique_ptr<IntakeTables>> IntakeTables::open(const config::Config& config, const table::Context& context)
{
    std::unique_ptr<IntakeTables> tables(new IntakeTables);
    RETURN_IF_ERROR(tables->impl_->open(config, context));
    return tables;
}

Rewriter& IntakeTables::rewriter() { return *impl_->rewriter; }
Expander& IntakeTables::expander() { return *impl_->expander; }
uint64_t IntakeTables::message_size_limit() const { return impl_->message_size_limit; }

bool IntakeTables::stale() const
{
    return impl_->rewriter->stale() || impl_->expander->stale() || impl_->sender_bcc->stale()
        || impl_->recipient_bcc->stale() || impl_->local_domains->stale();
}

Result<void> IntakeTables::Impl::open(const config::Config& config, const table::Context& context)
{
    hostname = config.text("myhostname");
    message_size_limit = static_cast<uint64_t>(config.number("message_size_limit"));
    header_size_limit = static_cast<size_t>(config.number("header_size_limit"));
    hopcount_limit = static_cast<int>(config.number("hopcount_limit"));
    always_add_missing_headers = config.boolean("always_add_missing_headers");
    drop_headers = config.list("message_drop_headers");
    undisclosed_recipients_header = config.text("undisclosed_recipients_header");
    keep_original = config.boolean("enable_original_recipient");
    always_bcc = config.text("always_bcc");
    tls_required = config.boolean("tls_required_enable");
    obsolete_from = config.text("header_from_format") == "obsolete";

    auto new_rewriter = Rewriter::open(config, context);
    if (!new_rewriter)
        return std::move(new_rewriter.error());
    rewriter = std::move(*new_rewriter);
    mailer_daemon = rewriter->complete("MAILER-DAEMON");
    auto new_expander = Expander::open(config, context, *rewriter);
    if (!new_expander)
        return std::move(new_expander.error());
    expander = std::move(*new_expander);
    auto domains = LocalDomains::open(config, context);
    if (!domains)
        return std::move(domains.error());
    local_domains = std::move(*domains);

    const auto open_maps = [&](const char* name, std::unique_ptr<table::AddressMaps>& into) -> Result<void> {
        auto maps = table::AddressMaps::open(name, config.text(name), context, local_domains->user_name_test());
        if (!maps)
            return std::move(maps.error());
        into = std::move(*maps);
        return {};
    };
    RETURN_IF_ERROR(open_maps("sender_bcc_maps", sender_bcc));
    return open_maps("recipient_bcc_maps", recipient_bcc);
}

Task<Result<void>> IntakeTables::Impl::find_copy(table::AddressMaps& maps, std::string address,
                                                 std::vector<std::string>& copies)
{
    if (maps.empty() || address.empty()) // a bounce is nobody's
        co_return Result<void>();
    auto found = co_await maps.find(std::move(address));
    if (!found)
        co_return std::move(found.error());
    if (*found)
        copies.push_back(std::move((*found)->value));
    co_return Result<void>();
}

// A copy never causes a bounce, and nobody gets one beside the message itself.
Task<Result<void>> IntakeTables::Impl::add_copies(mail::Envelope& envelope)
{
    std::vector<std::string> copies;
    if (!always_bcc.empty())
        copies.push_back(always_bcc);
    CO_CHECK(co_await find_copy(*sender_bcc, envelope.sender, copies));
    for (const mail::Recipient& recipient : envelope.recipients)
        if (!(recipient.notify & mail::NotifyExpanded))
            CO_CHECK(co_await find_copy(*recipient_bcc, recipient.address, copies));
    if (copies.empty())
        co_return Result<void>();

    std::unordered_set<std::string> known;
    for (const mail::Recipient& recipient : envelope.recipients)
        known.insert(duplicate_key(recipient.address));
    for (std::string& copy : copies) {
        auto address = co_await rewriter->rewrite(std::move(copy), AddressRole::EnvelopeRecipient);
        if (!address)
            co_return std::move(address.error());
        if (!is_copy_address(*address, "always_bcc, sender_bcc_maps or recipient_bcc_maps"))
            continue;
        if (!known.insert(duplicate_key(*address)).second)
            continue;
        mail::Recipient recipient(std::move(*address));
        recipient.notify = mail::NotifyNever;
        if (keep_original)
            recipient.original = recipient.address;
        envelope.recipients.push_back(std::move(recipient));
    }
    co_return Result<void>();
}

// Two recipients that end at the same place stay apart when they were written differently: each gets an
// X-Original-To of its own. With enable_original_recipient = no they become one.
Task<Result<std::vector<mail::Recipient>>> IntakeTables::Impl::expand_all(std::vector<mail::Recipient> recipients)
{
    if (recipients.size() == 1 && expander->empty())
        co_return std::move(recipients);
    std::vector<mail::Recipient> all;
    std::unordered_set<std::string> seen;
    for (mail::Recipient& recipient : recipients) {
        auto some = co_await expander->expand(std::move(recipient));
        if (!some)
            co_return std::move(some.error());
        for (mail::Recipient& each : *some) {
            std::string key = duplicate_key(each.address);
            if (keep_original)
                append_to(key, '\n', duplicate_key(each.original));
            if (each.notify & mail::NotifyExpanded)
                key.append("\nexpanded");
            if (seen.insert(std::move(key)).second)
                all.push_back(std::move(each));
        }
    }
    co_return std::move(all);
}

Task<Result<void>> IntakeTables::Impl::rewrite_envelope(mail::Envelope& envelope, AddressMappings mappings)
{
    const bool map = mappings != AddressMappings::Skip;
    if (!map) {
        envelope.sender = rewriter->complete(envelope.sender);
    } else {
        auto sender = co_await rewriter->rewrite(envelope.sender, AddressRole::EnvelopeSender);
        if (!sender)
            co_return std::move(sender.error());
        envelope.sender = std::move(*sender);
    }
    for (mail::Recipient& recipient : envelope.recipients) {
        if (recipient.original.empty() && keep_original)
            recipient.original = rewriter->complete(recipient.address);
        if (!map) {
            recipient.address = rewriter->complete(recipient.address);
            continue;
        }
        auto address = co_await rewriter->rewrite(recipient.address, AddressRole::EnvelopeRecipient);
        if (!address)
            co_return std::move(address.error());
        recipient.address = std::move(*address);
    }
    if (!map)
        co_return Result<void>();
    if (mappings == AddressMappings::Apply)
        CO_CHECK(co_await add_copies(envelope));
    auto expanded = co_await expand_all(std::move(envelope.recipients));
    if (!expanded)
        co_return std::move(expanded.error());
    envelope.recipients = std::move(*expanded);
    co_return Result<void>();
}

} // namespace posthouse::queue
