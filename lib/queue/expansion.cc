// Virtual aliases, see expansion.h: intake_tables.cc applies them to each envelope recipient.
#include "lib/queue/expansion.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/address_text.h"
#include "lib/queue/local_domains.h"
#include "lib/queue/rewrite.h"
#include "lib/table/list_items.h"
#include "lib/table/maps.h"

#include <optional>
#include <unordered_set>
#include <utility>

namespace posthouse::queue {

namespace {

Error out_of_bounds(std::string_view what, const std::string& address)
{
    log::warning("unreasonable virtual_alias_maps ", what, " for ", address, " -- message not accepted, try again later");
    return Error(ErrorKind::Temporary, "4.6.0", "Alias expansion error");
}

} // namespace

std::string duplicate_key(std::string_view address)
{
    const AddressParts parts(address);
    return parts.has_separator ? cat(parts.local, '@', ascii::lower(parts.domain)) : std::string(address);
}

struct Expander::Impl {
    const Rewriter* rewriter = nullptr;
    std::unique_ptr<LocalDomains> local_domains;
    std::unique_ptr<table::AddressMaps> maps;
    bool propagate_extensions = false;
    size_t expansion_limit = 1000;
    size_t recursion_limit = 1000;
    size_t address_length_limit = 1000;

    Task<Result<std::vector<std::string>>> look_up(std::string address);
    Task<Result<void>> expand_at(std::vector<std::string>& addresses, size_t index,
                                 std::unordered_set<std::string>& final_ones);
};

// One level; empty when nothing matches.
Task<Result<std::vector<std::string>>> Expander::Impl::look_up(std::string address)
{
    std::vector<std::string> results;
    auto found = co_await maps->find(address);
    if (!found)
        co_return std::move(found.error());
    if (!*found)
        co_return std::move(results);
    const std::string& extension = (*found)->extension;
    for (const std::string& item : split_address_list((*found)->value)) {
        std::string result = rewriter->complete(apply_result(address, extension, item));
        if (propagate_extensions)
            result = with_extension(result, extension);
        if (result.size() > address_length_limit)
            co_return out_of_bounds("result length", address);
        if (table::breaks_apart(result))
            co_return out_of_bounds("result, no address,", address);
        results.push_back(std::move(result));
    }
    co_return std::move(results);
}

// Follows the first result on and on at `index`; the others are appended, to have their turn later.
Task<Result<void>> Expander::Impl::expand_at(std::vector<std::string>& addresses, size_t index,
                                             std::unordered_set<std::string>& final_ones)
{
    for (size_t level = 0; !final_ones.contains(duplicate_key(addresses[index])); ++level) {
        if (level >= recursion_limit)
            co_return out_of_bounds("map nesting", addresses.front());
        const std::string from = addresses[index];
        auto results = co_await look_up(from);
        if (!results)
            co_return std::move(results.error());
        if (results->empty())
            co_return Result<void>();
        if (addresses.size() + results->size() - 1 > expansion_limit)
            co_return out_of_bounds("map expansion size", addresses.front());
        for (const std::string& result : *results) {
            // `ann: ann, archive`: an address may be among its own results, and is final then.
            if (ascii::equal(result, from))
                final_ones.insert(duplicate_key(result));
        }
        addresses[index] = std::move(results->front());
        addresses.insert(addresses.end(), std::make_move_iterator(results->begin() + 1),
                         std::make_move_iterator(results->end()));
    }
    co_return Result<void>();
}

Expander::Expander() : impl_(std::make_unique<Impl>()) {}
Expander::~Expander() = default;

Result<std::unique_ptr<Expander>> Expander::open(const config::Config& config, const table::Context& context,
                                                 const Rewriter& rewriter)
{
    std::unique_ptr<Expander> expander(new Expander);
    Impl& impl = *expander->impl_;
    impl.rewriter = &rewriter;
    auto domains = LocalDomains::open(config, context);
    if (!domains)
        return std::move(domains.error());
    impl.local_domains = std::move(*domains);
    auto maps = table::AddressMaps::open("virtual_alias_maps", config.text("virtual_alias_maps"), context,
                                         impl.local_domains->user_name_test());
    if (!maps)
        return std::move(maps.error());
    impl.maps = std::move(*maps);
    for (const std::string& name : config.list("propagate_unmatched_extensions"))
        impl.propagate_extensions = impl.propagate_extensions || name == "virtual";
    impl.expansion_limit = static_cast<size_t>(config.number("virtual_alias_expansion_limit"));
    impl.recursion_limit = static_cast<size_t>(config.number("virtual_alias_recursion_limit"));
    impl.address_length_limit = static_cast<size_t>(config.number("virtual_alias_address_length_limit"));
    return expander;
}

Task<Result<std::vector<mail::Recipient>>> Expander::expand(mail::Recipient recipient)
{
    std::vector<mail::Recipient> expanded;
    if (empty() || (recipient.notify & mail::NotifyExpanded)) {
        expanded.push_back(std::move(recipient));
        co_return std::move(expanded);
    }
    std::vector<std::string> addresses(1, recipient.address);
    std::unordered_set<std::string> final_ones;
    for (size_t i = 0; i < addresses.size(); ++i)
        CO_CHECK(co_await impl_->expand_at(addresses, i, final_ones));
    std::unordered_set<std::string> seen;
    for (std::string& address : addresses) {
        if (!seen.insert(duplicate_key(address)).second)
            continue;
        expanded.push_back(recipient);
        expanded.back().address = std::move(address);
    }
    if (expanded.size() > 1 && (recipient.notify & mail::NotifySuccess)) {
        for (mail::Recipient& member : expanded)
            member.notify = mail::notify_of_members(recipient.notify);
        recipient.notify = mail::NotifySuccess | mail::NotifyExpanded;
        expanded.push_back(std::move(recipient));
    }
    co_return std::move(expanded);
}

bool Expander::empty() const { return impl_->maps->empty(); }
bool Expander::stale() const { return impl_->maps->stale() || impl_->local_domains->stale(); }

} // namespace posthouse::queue
