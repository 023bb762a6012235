// xtext (RFC 3461 section 4) and utf-8-addr-xtext (RFC 6533 section 3): how ENVID=, ORCPT=, AUTH= and
// XCLIENT carry text. Decoders refuse what would decode to NUL, CR or LF.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace posthouse::mail {

std::optional<std::string> decode_xtext(std::string_view text);
std::string encode_xtext(std::string_view text);

// ORCPT: "rfc822;user+40example.com" -> "rfc822;user@example.com"; an address of type utf-8 may also hold
// \x{HEX} and plain UTF-8. nullopt when it is malformed.
std::optional<std::string> decode_orcpt(std::string_view text);
// The other way. `smtputf8`: the peer takes UTF-8 as it is.
std::string encode_orcpt(std::string_view orcpt, bool smtputf8);

} // namespace posthouse::mail
