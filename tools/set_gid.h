// What a command that may be set-gid does before anything else, and whose configuration it believes.
#pragma once

#include "lib/base/result.h"

#include <string>
#include <string_view>

namespace posthouse::tools {

// Descriptors 0 to 2 are open, the environment holds nothing but a known PATH, TZ and MAIL_CONFIG, no core
// files. Called first thing in main().
void secure_start();

// Running with another group or user than the caller's own.
bool has_borrowed_rights();

// The directory of main.cf: `c_option`, or MAIL_CONFIG, or the installed one. With borrowed rights, a
// directory other than the installed one must be named by alternate_config_directories or
// multi_instance_directories there, unless the caller is root.
Result<std::string> trusted_config_directory(std::string_view c_option);

} // namespace posthouse::tools
