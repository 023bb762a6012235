// CRC-32C (Castagnoli, as in RFC 3720 appendix B.4), by the processor's instruction where it has one.
#pragma once

#include <cstdint>
#include <string_view>

namespace posthouse {

// The checksum of what gave `before`, followed by `bytes`. Begin with 0.
uint32_t crc32c(uint32_t before, std::string_view bytes);
inline uint32_t crc32c(std::string_view bytes) { return crc32c(0, bytes); }

// The one without special instructions, for the test that both agree.
uint32_t crc32c_by_table(uint32_t before, std::string_view bytes);

} // namespace posthouse
