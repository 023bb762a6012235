// The known word nearest to a mistyped one.
#pragma once

#include <string_view>
#include <vector>

namespace posthouse::config {

// Edits (one character added, dropped, changed, or two neighbours swapped) that turn `a` into `b`.
size_t edit_distance(std::string_view a, std::string_view b);

// Empty when nothing is near enough to be meant.
std::string_view nearest_name(std::string_view name, const std::vector<std::string_view>& known);

} // namespace posthouse::config
