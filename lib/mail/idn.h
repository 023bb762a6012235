// Internationalised domain names (IDNA 2008). The only file that includes libidn2.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace posthouse::mail {

// "bücher.example" -> "xn--bcher-kva.example"; an ASCII name comes back in lower case. nullopt when the name
// cannot be a domain name.
std::optional<std::string> domain_to_ascii(std::string_view domain);
// "xn--bcher-kva.example" -> "bücher.example"; what cannot be converted comes back as it is.
std::string domain_to_unicode(std::string_view domain);

} // namespace posthouse::mail
