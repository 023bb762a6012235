// Completion, canonical maps and masquerading of one address, see rewrite.h. Header fields: rewrite_header.cc.
#include "lib/queue/rewrite.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/address_text.h"
#include "lib/queue/local_domains.h"
#include "lib/queue/rewriter_impl.h"
#include "lib/table/list_items.h"

#include <array>
#include <utility>

namespace posthouse::queue {

namespace {

constexpr int most_canonical_turns = 10;

// "@route,@route:user@domain" (RFC 5321 appendix C): the route is ignored.
std::string_view without_source_route(std::string_view address)
{
    if (address.empty() || address.front() != '@')
        return address;
    const size_t colon = address.find(':');
    return colon == std::string_view::npos || colon + 1 == address.size() ? address : address.substr(colon + 1);
}

RoleSet roles_from(const config::Config& config, const char* parameter)
{
    RoleSet roles;
    for (const std::string& name : config.list(parameter)) {
        if (name == "envelope_sender")
            roles.add(AddressRole::EnvelopeSender);
        else if (name == "envelope_recipient")
            roles.add(AddressRole::EnvelopeRecipient);
        else if (name == "header_sender")
            roles.add(AddressRole::HeaderSender);
        else if (name == "header_recipient")
            roles.add(AddressRole::HeaderRecipient);
        else
            log::warning(parameter, ": unknown address class: ", name);
    }
    return roles;
}

bool lists(const std::vector<std::string>& items, std::string_view name)
{
    for (const std::string& item : items)
        if (ascii::equal(item, name))
            return true;
    return false;
}

} // namespace

RewriteContext rewrite_context_from(std::string_view name)
{
    return name == "local" ? RewriteContext::Local : RewriteContext::Remote;
}

std::string_view to_text(RewriteContext context)
{
    return context == RewriteContext::Local ? "local" : "remote";
}

CompletionRules CompletionRules::from_config(const config::Config& config)
{
    CompletionRules rules;
    rules.origin = config.text("myorigin");
    rules.domain = config.text("mydomain");
    rules.append_at_origin = config.boolean("append_at_myorigin");
    rules.append_dot_domain = config.boolean("append_dot_mydomain");
    rules.swap_bangpath = config.boolean("swap_bangpath");
    rules.percent_hack = config.boolean("allow_percent_hack");
    return rules;
}

std::string complete_address(std::string_view address, const CompletionRules& rules)
{
    address = without_source_route(address);
    if (address.empty())
        return std::string();
    const AddressParts parts(address);
    std::string local(parts.local);
    std::string domain(parts.domain);
    if (domain.empty() && !parts.quoted()) {
        const size_t bang = rules.swap_bangpath ? local.find('!') : std::string::npos;
        const size_t percent = rules.percent_hack ? local.rfind('%') : std::string::npos;
        if (bang != std::string::npos) {
            domain = local.substr(0, bang);
            local.erase(0, bang + 1);
        } else if (percent != std::string::npos) {
            domain = local.substr(percent + 1);
            local.erase(percent);
        }
    }
    if (domain.empty() && rules.append_at_origin)
        domain = rules.origin;
    if (domain.empty())
        return parts.has_separator && local.empty() ? std::string(address) : local;
    if (rules.append_dot_domain && domain.find('.') == std::string::npos && domain.front() != '[')
        append_to(domain, '.', rules.domain);
    if (domain.size() > 1 && domain.back() == '.' && domain[domain.size() - 2] != '.')
        domain.pop_back();
    return cat(local, '@', domain);
}

Result<void> Rewriter::Impl::open(const config::Config& config, const table::Context& context)
{
    local_rules = CompletionRules::from_config(config);
    remote_rules = local_rules;
    remote_rules.origin = config.text("remote_header_rewrite_domain");
    remote_rules.domain = remote_rules.origin;
    auto domains = LocalDomains::open(config, context);
    if (!domains)
        return std::move(domains.error());
    local_domains = std::move(*domains);

    const auto open_canonical = [&](const char* parameter, const char* classes, CanonicalStep& step) -> Result<void> {
        auto maps = table::AddressMaps::open(parameter, config.text(parameter), context, local_domains->user_name_test());
        if (!maps)
            return std::move(maps.error());
        step.maps = std::move(*maps);
        step.roles = roles_from(config, classes);
        return {};
    };
    RETURN_IF_ERROR(open_canonical("sender_canonical_maps", "sender_canonical_classes", steps[0]));
    RETURN_IF_ERROR(open_canonical("recipient_canonical_maps", "recipient_canonical_classes", steps[1]));
    RETURN_IF_ERROR(open_canonical("canonical_maps", "canonical_classes", steps[2]));
    propagate_extensions = lists(config.list("propagate_unmatched_extensions"), "canonical");
    masquerade_domains = config.list("masquerade_domains");
    masquerade_exceptions = config.list("masquerade_exceptions");
    masquerade_roles = roles_from(config, "masquerade_classes");
    return {};
}

// A canonical map may rewrite its own result; ten turns are more than any sane table needs.
Task<Result<std::string>> Rewriter::Impl::apply_canonical(std::string address, CanonicalStep& step)
{
    for (int turn = 0; turn < most_canonical_turns; ++turn) {
        auto found = co_await step.maps->find(address);
        if (!found)
            co_return std::move(found.error());
        if (!*found)
            co_return std::move(address);
        const auto results = split_address_list(apply_result(address, (*found)->extension, (*found)->value));
        if (results.empty())
            co_return std::move(address);
        if (results.size() > 1)
            log::warning("multi-valued ", step.maps->maps().parameter(), " entry for ", address);
        std::string next = complete_address(results.front(), local_rules);
        if (propagate_extensions)
            next = with_extension(next, (*found)->extension);
        if (table::breaks_apart(next)) {
            log::warning(step.maps->maps().parameter(), " result for ", address, " is no address: ", next);
            co_return Error(ErrorKind::Temporary, "4.3.0", "Address rewriting error");
        }
        if (next == address)
            co_return std::move(address);
        address = std::move(next);
    }
    log::warning("unreasonable ", step.maps->maps().parameter(), " map nesting for ", address);
    co_return std::move(address);
}

std::string Rewriter::Impl::masquerade(std::string address) const
{
    const AddressParts parts(address);
    if (parts.domain.empty() || lists(masquerade_exceptions, unquote_local(parts.local)))
        return address;
    for (const std::string& item : masquerade_domains) {
        const bool excluded = item.front() == '!';
        const std::string_view wanted = std::string_view(item).substr(excluded ? 1 : 0);
        if (ascii::equal(parts.domain, wanted))
            return address;
        if (!ascii::ends_with(parts.domain, cat('.', wanted)))
            continue;
        return excluded ? address : cat(parts.local, '@', wanted);
    }
    return address;
}

Task<Result<std::string>> Rewriter::Impl::rewrite_completed(std::string address, AddressRole role)
{
    for (CanonicalStep& step : steps) {
        if (!step.roles.has(role) || step.maps->empty())
            continue;
        auto next = co_await apply_canonical(std::move(address), step);
        if (!next)
            co_return std::move(next.error());
        address = std::move(*next);
    }
    if (!masquerade_domains.empty() && masquerade_roles.has(role))
        address = masquerade(std::move(address));
    co_return std::move(address);
}

Rewriter::Rewriter() : impl_(std::make_unique<Impl>()) {}
Rewriter::~Rewriter() = default;

Result<std::unique_ptr<Rewriter>> Rewriter::open(const config::Config& config, const table::Context& context)
{
    std::unique_ptr<Rewriter> rewriter(new Rewriter);
    RETURN_IF_ERROR(rewriter->impl_->open(config, context));
    return rewriter;
}

std::string Rewriter::complete(std::string_view address) const
{
    return complete_address(address, impl_->local_rules);
}

Task<Result<std::string>> Rewriter::rewrite(std::string address, AddressRole role)
{
    if (address.empty())
        co_return std::move(address);
    address = complete_address(address, impl_->local_rules);
    co_return co_await impl_->rewrite_completed(std::move(address), role);
}

bool Rewriter::rewrites_headers(RewriteContext context) const
{
    return context == RewriteContext::Local || !impl_->remote_rules.origin.empty();
}

bool Rewriter::stale() const
{
    for (const CanonicalStep& step : impl_->steps)
        if (step.maps->stale())
            return true;
    return impl_->local_domains->stale();
}

} // namespace posthouse::queue
