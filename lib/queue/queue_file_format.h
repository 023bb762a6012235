// Where things are in a queue file's header, for its reader and its writer alone. Documented in
// queue_file.h.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace posthouse::queue::format {

inline constexpr std::string_view live_magic = "PHqLIVE1";
inline constexpr std::string_view free_magic = "phQfree!";
inline constexpr size_t magic_size = 8;
inline constexpr uint32_t format_version = 1;

inline constexpr size_t header_crc_at = 8;
inline constexpr size_t checked_at = 12; // the header's checksum begins here and ends before progress_at
inline constexpr size_t version_at = 12;
inline constexpr size_t number_at = 16;
inline constexpr size_t id_us_at = 24;
inline constexpr size_t arrival_at = 32;
inline constexpr size_t content_offset_at = 40;
inline constexpr size_t content_size_at = 48;
inline constexpr size_t content_crc_at = 56;
inline constexpr size_t longest_line_at = 60;
inline constexpr size_t facts_at = 64;
inline constexpr size_t recipient_count_at = 68;
inline constexpr size_t envelope_offset_at = 72;
inline constexpr size_t envelope_size_at = 80;
inline constexpr size_t envelope_crc_at = 84;
inline constexpr size_t states_offset_at = 88;
inline constexpr size_t id_at = 96;
inline constexpr size_t id_size = 32;
inline constexpr size_t progress_at = 128;
inline constexpr size_t hold_at = 129;
inline constexpr size_t expire_at = 130;
inline constexpr size_t warned_at = 131;
inline constexpr size_t successor_crc_at = 132; // of the id that follows
inline constexpr size_t successor_at = 136;

inline constexpr char progress_new = 'N';
inline constexpr char progress_known = 'k';
inline constexpr char flag_no = '-';
inline constexpr char hold_yes = 'h';
inline constexpr char warned_yes = 'w';

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "queue files are little endian");

template <class Int>
Int get(std::string_view bytes, size_t at)
{
    Int value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}
template <class Int>
void put(char* bytes, size_t at, Int value)
{
    std::memcpy(bytes + at, &value, sizeof value);
}

} // namespace posthouse::queue::format
