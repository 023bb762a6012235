// SipHash-2-4 (Aumasson, Bernstein 2012): a hash with a secret key, for tables whose keys strangers choose. Without
// the key nobody can make keys that fall together.
#pragma once

#include <cstdint>
#include <string_view>

namespace posthouse {

uint64_t sip_hash(uint64_t key_low, uint64_t key_high, std::string_view bytes);

} // namespace posthouse
