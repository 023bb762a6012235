// Addresses cut as text: see address_text.h. Used by rewrite.cc, expansion.cc, route.cc and recipient_tables.cc.
#include "lib/queue/address_text.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/mail/address.h"
#include "lib/table/list_items.h"

namespace posthouse::queue {

size_t find_domain_separator(std::string_view address)
{
    size_t found = std::string_view::npos;
    bool quoted = false;
    for (size_t i = 0; i < address.size(); ++i) {
        const char c = address[i];
        if (c == '\\')
            ++i;
        else if (c == '"')
            quoted = !quoted;
        else if (c == '@' && !quoted)
            found = i;
    }
    return found;
}

AddressParts::AddressParts(std::string_view address)
{
    const size_t at = find_domain_separator(address);
    has_separator = at != std::string_view::npos;
    local = address.substr(0, at);
    if (has_separator)
        domain = address.substr(at + 1);
}

std::string unquote_local(std::string_view local)
{
    std::string plain;
    plain.reserve(local.size());
    for (size_t i = 0; i < local.size(); ++i) {
        if (local[i] == '\\' && i + 1 < local.size())
            plain.push_back(local[++i]);
        else if (local[i] != '"')
            plain.push_back(local[i]);
    }
    return plain;
}

namespace {

std::string without_comments(std::string_view item)
{
    std::string text;
    bool quoted = false;
    size_t depth = 0;
    for (size_t i = 0; i < item.size(); ++i) {
        const char c = item[i];
        if (c == '"' && depth == 0)
            quoted = !quoted;
        if (c == '(' && !quoted)
            ++depth;
        if (depth == 0)
            text.push_back(c);
        else if (c == ')')
            --depth;
        if (c == '\\' && i + 1 < item.size() && ++i != 0 && depth == 0)
            text.push_back(item[i]);
    }
    return text;
}

} // namespace

std::vector<std::string> split_address_list(std::string_view list)
{
    std::vector<std::string> addresses;
    for (const std::string_view item : table::split_list_items(list)) {
        const std::string text = item.find('(') == std::string_view::npos ? std::string(item) : without_comments(item);
        std::string_view address = ascii::trim(text);
        const size_t open = address.ends_with('>') ? address.rfind('<') : std::string_view::npos;
        if (open != std::string_view::npos)
            address = ascii::trim(address.substr(open + 1, address.size() - open - 2));
        if (!address.empty())
            addresses.emplace_back(address);
    }
    return addresses;
}

std::string with_extension(std::string_view address, std::string_view extension)
{
    if (extension.empty())
        return std::string(address);
    const AddressParts parts(address);
    std::string local = mail::quote_local(cat(unquote_local(parts.local), extension));
    return parts.has_separator ? cat(local, '@', parts.domain) : local;
}

std::string apply_result(std::string_view address, std::string_view matched_extension, std::string_view result)
{
    if (result.empty() || result.front() != '@')
        return std::string(result);
    const AddressParts parts(address);
    std::string local = unquote_local(parts.local);
    if (local.size() > matched_extension.size() && local.ends_with(matched_extension))
        local.resize(local.size() - matched_extension.size());
    return cat(mail::quote_local(local), result);
}

} // namespace posthouse::queue
