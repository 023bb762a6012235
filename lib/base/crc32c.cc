// CRC-32C: see crc32c.h.
#include "lib/base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace posthouse {

namespace {

constexpr std::array<uint32_t, 256> make_table()
{
    std::array<uint32_t, 256> table{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t value = byte;
        for (int bit = 0; bit < 8; ++bit)
            value = (value >> 1) ^ ((value & 1) ? 0x82f63b78u : 0u);
        table[byte] = value;
    }
    return table;
}
constexpr std::array<uint32_t, 256> table = make_table();

#if defined(__x86_64__)
// The instruction takes three cycles, but a new one can begin in each: so long input is summed in three lanes
// side by side. The register is linear in what it held before and in the input, so the sum of A then B is
// (sum of A, moved on over as many zeros as B is long) xor (sum of B begun with zero).
constexpr size_t lane = 4096; // bytes

__attribute__((target("sse4.2"))) uint32_t over_zeros(uint32_t value)
{
    uint64_t wide = value;
    for (size_t i = 0; i < lane; i += 8)
        wide = _mm_crc32_u64(wide, 0);
    return static_cast<uint32_t>(wide);
}

// over_zeros() for each value of each byte.
using LaneTable = std::array<std::array<uint32_t, 256>, 4>;

LaneTable make_lane_table()
{
    LaneTable result{};
    for (size_t byte = 0; byte < 4; ++byte) {
        for (size_t bit = 0; bit < 8; ++bit)
            result[byte][size_t(1) << bit] = over_zeros(uint32_t(1) << (8 * byte + bit));
        for (size_t value = 1; value < 256; ++value) {
            const size_t lowest = value & (~value + 1);
            result[byte][value] = result[byte][value ^ lowest] ^ result[byte][lowest];
        }
    }
    return result;
}

uint32_t over_lane(const LaneTable& zeros, uint64_t value)
{
    return zeros[0][value & 0xff] ^ zeros[1][(value >> 8) & 0xff] ^ zeros[2][(value >> 16) & 0xff] ^ zeros[3][(value >> 24) & 0xff];
}

uint64_t word_at(const char* at)
{
    uint64_t word;
    std::memcpy(&word, at, sizeof word);
    return word;
}

__attribute__((target("sse4.2"))) uint32_t by_instruction(uint32_t before, std::string_view bytes)
{
    static const LaneTable zeros = make_lane_table();
    uint64_t value = static_cast<uint32_t>(~before);
    const char* at = bytes.data();
    size_t left = bytes.size();
    for (; left >= 3 * lane; at += 3 * lane, left -= 3 * lane) {
        uint64_t second = 0;
        uint64_t third = 0;
        for (const char* word = at; word < at + lane; word += 8) {
            value = _mm_crc32_u64(value, word_at(word));
            second = _mm_crc32_u64(second, word_at(word + lane));
            third = _mm_crc32_u64(third, word_at(word + 2 * lane));
        }
        value = over_lane(zeros, over_lane(zeros, value) ^ second) ^ third;
    }
    for (; left >= 8; at += 8, left -= 8)
        value = _mm_crc32_u64(value, word_at(at));
    auto narrow = static_cast<uint32_t>(value);
    for (; left > 0; ++at, --left)
        narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*at));
    return ~narrow;
}
#endif

} // namespace

uint32_t crc32c_by_table(uint32_t before, std::string_view bytes)
{
    uint32_t value = ~before;
    for (const char c : bytes)
        value = (value >> 8) ^ table[(value ^ static_cast<unsigned char>(c)) & 0xff];
    return ~value;
}

uint32_t crc32c(uint32_t before, std::string_view bytes)
{
#if defined(__x86_64__)
    static const bool has_instruction = __builtin_cpu_supports("sse4.2");
    if (has_instruction)
        return by_instruction(before, bytes);
#endif
    return crc32c_by_table(before, bytes);
}

} // namespace posthouse
