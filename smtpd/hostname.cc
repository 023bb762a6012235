// What may be a host's name, see hostname.h: asked by the restrictions, XCLIENT and the look-up of the client's name.
#include "smtpd/hostname.h"

#include "lib/base/ascii.h"
#include "lib/mail/address.h"

#include <algorithm>

namespace posthouse::smtpd {

bool is_hostname(std::string_view name)
{
    // Digits and dots alone are an address, or nothing.
    const bool has_letter = std::any_of(name.begin(), name.end(), [](char c) { return c != '.' && !ascii::is_digit(c); });
    return has_letter && mail::is_valid_hostname(name);
}

bool is_fqdn(std::string_view name)
{
    if (!name.empty() && name.back() == '.')
        name.remove_suffix(1);
    return is_hostname(name) && name.find('.') != std::string_view::npos;
}

bool is_literal(std::string_view name)
{
    return mail::is_valid_address_literal(name);
}

} // namespace posthouse::smtpd
