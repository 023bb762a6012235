// Queue IDs as postqueue, postsuper and postcat get them from the command line or standard input.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace posthouse::tools {

// An ID of a message here, or the name of a damaged file ("slot.NUMBER"). With a line on stderr when it is none.
bool is_queue_id(std::string_view program, const std::string& id);

// The IDs that an argument stands for: itself, or for "-" the first word of each line of standard input. Those
// that are none are left out, with a line on stderr for each.
std::vector<std::string> queue_ids_from(std::string_view program, const std::string& argument);

} // namespace posthouse::tools
