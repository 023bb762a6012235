// Queue ids in Postfix's long form, so that log analysers know them: the seconds in base 52 (6 characters
// or more), the microseconds in base 52 (4 characters), 'z', the slot's number in base 51. The digits are
// 0-9, the consonants BCDFGHJKLMNPQRSTVWXYZ and the same in lower case; base 51 leaves out 'z'.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse::queue {

inline constexpr size_t longest_queue_id = 31;

std::string make_id(int64_t wall_us, uint64_t number);

// Empty unless `id` is exactly what make_id gives for them.
std::optional<uint64_t> number_of(std::string_view id);
std::optional<int64_t> time_of(std::string_view id); // microseconds since 1970

} // namespace posthouse::queue
