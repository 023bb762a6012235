// Logical lines of main.cf and master.cf: comments and empty lines are gone, a line that begins with
// white space continues the one before. Pure; the caller bounds the text.
#pragma once

#include "lib/config/fault.h"

#include <string>
#include <string_view>
#include <vector>

namespace posthouse::config {

struct LogicalLine {
    int line; // number of its first physical line
    std::string text;
};

constexpr size_t file_size_limit = 4 * 1024 * 1024; // of main.cf and master.cf

std::vector<LogicalLine> logical_lines(std::string_view text, const std::string& file, std::vector<Fault>& faults);

// The text between the brace or parenthesis at text[open] and its partner, and where that partner is.
// npos in `close` when it is missing.
struct Braced {
    std::string_view inside;
    size_t close;
};
Braced find_braced(std::string_view text, size_t open);

} // namespace posthouse::config
