// What may stand as a host name in HELO, in an address, or in a PTR record.
#pragma once

#include <string_view>

namespace posthouse::smtpd {

// Labels of letters, digits, hyphens (and underscores, which the world uses), or U-labels.
bool is_hostname(std::string_view name);
// A host name of two labels or more; a final dot is allowed.
bool is_fqdn(std::string_view name);
// "[192.0.2.1]" or "[IPv6:2001:db8::1]".
bool is_literal(std::string_view name);

} // namespace posthouse::smtpd
