// The name that a client asks for in its first message (server name indication, RFC 6066 section 3). Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse::tls {

// From the content of the extension, in lower case. Nothing when it breaks its format, or the name is none that can be
// looked up in a table: not a host name of letters, digits, hyphens and underscores in labels, or an address.
std::optional<std::string> parse_server_name(std::string_view extension);

} // namespace posthouse::tls
