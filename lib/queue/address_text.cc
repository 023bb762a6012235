#include "lib/queue/address_text.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/mail/address.h"

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

std::vector<std::string> split_address_list(std::string_view list)
{
    std::vector<std::string> items;
    const auto add = [&items](std::string_view item) {
        item = ascii::trim(item);
        if (item.size() >= 2 && item.front() == '<' && item.back() == '>')
            item = ascii::trim(item.substr(1, item.size() - 2));
        if (!item.empty())
            items.emplace_back(item);
    };
    size_t begin = 0;
    bool quoted = false;
    for (size_t i = 0; i < list.size(); ++i) {
        if (list[i] == '\\') {
            ++i;
        } else if (list[i] == '"') {
            quoted = !quoted;
        } else if (list[i] == ',' && !quoted) {
            add(list.substr(begin, i - begin));
            begin = i + 1;
        }
    }
    if (begin < list.size())
        add(list.substr(begin));
    return items;
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
