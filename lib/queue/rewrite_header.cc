// Header addresses: see Rewriter::rewrite_header in rewrite.h. Each address is replaced in its place;
// names, comments and folds stay.
#include "lib/base/ascii.h"
#include "lib/mail/address_list.h"
#include "lib/queue/rewriter_impl.h"

#include <utility>

namespace posthouse::queue {

namespace {

struct AddressHeader {
    std::string_view name; // without "Resent-"
    AddressRole role;
};
constexpr AddressHeader address_headers[] = {
    {"From", AddressRole::HeaderSender},
    {"To", AddressRole::HeaderRecipient},
    {"Cc", AddressRole::HeaderRecipient},
    {"Bcc", AddressRole::HeaderRecipient},
    {"Sender", AddressRole::HeaderSender},
    {"Reply-To", AddressRole::HeaderSender},
    {"Errors-To", AddressRole::HeaderSender},
    {"Return-Receipt-To", AddressRole::HeaderSender},
    {"Disposition-Notification-To", AddressRole::HeaderSender},
    {"Apparently-To", AddressRole::HeaderRecipient},
};

const AddressHeader* find_address_header(std::string_view name)
{
    constexpr std::string_view resent = "Resent-";
    if (ascii::starts_with(name, resent))
        name.remove_prefix(resent.size());
    for (const AddressHeader& header : address_headers)
        if (ascii::equal(header.name, name))
            return &header;
    return nullptr;
}

} // namespace

bool is_address_header(std::string_view name)
{
    return find_address_header(name) != nullptr;
}

Task<Result<std::optional<std::string>>> Rewriter::rewrite_header(std::string name, std::string body,
                                                                  RewriteContext context, AddressMappings mappings)
{
    const AddressHeader* header = find_address_header(name);
    if (!header || !rewrites_headers(context))
        co_return std::optional<std::string>();
    const CompletionRules& rules = context == RewriteContext::Local ? impl_->local_rules : impl_->remote_rules;
    const std::vector<mail::ListedAddress> listed = mail::parse_address_list(body);
    std::string changed;
    size_t copied = 0;
    for (const mail::ListedAddress& each : listed) {
        std::string address = complete_address(each.address, rules);
        if (mappings != AddressMappings::Skip) {
            auto rewritten = co_await impl_->rewrite_completed(std::move(address), header->role);
            if (!rewritten)
                co_return std::move(rewritten.error());
            address = std::move(*rewritten);
        }
        if (address == each.address || address.empty())
            continue;
        changed.append(body, copied, each.begin - copied);
        changed.append(address);
        copied = each.end;
    }
    if (copied == 0)
        co_return std::optional<std::string>();
    changed.append(body, copied);
    co_return std::optional<std::string>(std::move(changed));
}

} // namespace posthouse::queue
