// Server name indication: see server_name.h.
#include "lib/tls/server_name.h"

#include "lib/base/ascii.h"

#include <algorithm>

namespace posthouse::tls {

namespace {

constexpr size_t longest_name = 253; // RFC 1035 section 2.3.4, as text
constexpr size_t longest_label = 63;
constexpr char kind_host_name = 0;

// Takes a number of two bytes off the front.
std::optional<size_t> take_length(std::string_view& bytes)
{
    if (bytes.size() < 2)
        return std::nullopt;
    const size_t length = static_cast<unsigned char>(bytes[0]) * 256u + static_cast<unsigned char>(bytes[1]);
    bytes.remove_prefix(2);
    return length;
}

bool is_label(std::string_view label)
{
    return !label.empty() && label.size() <= longest_label && label.front() != '-'
           && std::all_of(label.begin(), label.end(),
                          [](char c) { return ascii::is_alnum(c) || c == '-' || c == '_'; });
}

bool is_host_name(std::string_view name)
{
    if (name.empty() || name.size() > longest_name)
        return false;
    std::string_view label;
    for (size_t begin = 0; begin <= name.size(); begin += label.size() + 1) {
        label = name.substr(begin, name.find('.', begin) - begin);
        if (!is_label(label))
            return false;
    }
    return !std::all_of(label.begin(), label.end(), ascii::is_digit); // 192.0.2.1
}

} // namespace

std::optional<std::string> parse_server_name(std::string_view extension)
{
    const auto list_length = take_length(extension);
    if (!list_length || *list_length != extension.size())
        return std::nullopt;
    // One name of each kind, and there is only one kind.
    if (extension.empty() || extension.front() != kind_host_name)
        return std::nullopt;
    extension.remove_prefix(1);
    const auto name_length = take_length(extension);
    if (!name_length || *name_length != extension.size() || !is_host_name(extension))
        return std::nullopt;
    return ascii::lower(extension);
}

} // namespace posthouse::tls
