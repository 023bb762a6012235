// UTF-8 well-formedness (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse::mail {

bool is_utf8(std::string_view text);
// Takes one character off the front; nullopt (and nothing taken) when it is malformed or text is empty.
std::optional<uint32_t> take_utf8(std::string_view& text);
// False for surrogates and what lies above U+10FFFF.
bool append_utf8(std::string& out, uint32_t code_point);

} // namespace posthouse::mail
