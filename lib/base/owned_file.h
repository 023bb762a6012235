// Opening a file in a directory that belongs to an unprivileged user, as root: whoever owns the directory can put
// links there, and root would follow them anywhere. So the file is opened, or made, with the file rights of the
// directory's owner. It must be a regular file of that owner; a link is refused.
#pragma once

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

#include <string>

namespace posthouse {

// For reading and writing; made with mode 0600 when it is not there. Does not truncate. For start-up code.
Result<UniqueFd> open_owned_file(const std::string& path);

} // namespace posthouse
