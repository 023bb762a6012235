// Values of parameters: text to number, time, size and truth, and the check of a value against its row
// of the table. Pure.
#pragma once

#include "lib/base/time.h"
#include "lib/config/params.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse::config {

std::optional<bool> parse_boolean(std::string_view text);
std::optional<int64_t> parse_number(std::string_view text); // decimal, maybe with '-'
std::optional<int64_t> parse_size(std::string_view text);   // 4096, 64K, 10M, 2G
// `unit` (s, m, h, d, w) holds when the text has none.
std::optional<Duration> parse_time(std::string_view text, char unit = 's');

// The unit that a value of this parameter has when none is written.
char default_unit(const Parameter& parameter);
Duration time_value(const Parameter& parameter, std::string_view value); // of a checked value

// nullopt when the value fits, else what was expected: "expected yes or no, not \"maybe\"".
std::optional<std::string> complaint_about(const Parameter& parameter, std::string_view value);

} // namespace posthouse::config
