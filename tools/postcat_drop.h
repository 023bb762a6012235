// postcat's view of a message in maildrop/, in the form of lib/queue/drop_file.h.
#pragma once

#include "lib/base/result.h"

#include <string>

namespace posthouse::tools {

struct DropView {
    bool envelope = true;
    bool header = true;
    bool body = true;
    bool marks = true;
    bool file_names = false;
    bool line_types = false;
};

// Whether the file begins as one from maildrop/ does. Does not move the file's position.
bool is_drop(int fd);

// Prints it as far as it can be read. An error when it is damaged or not complete.
Result<void> show_drop(int fd, const std::string& name, const DropView& view);

} // namespace posthouse::tools
