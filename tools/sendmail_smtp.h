// sendmail -bs: SMTP on standard input and output, for mail programs that submit that way. Each message
// goes through postdrop like any other of this user; so this works while the daemons are down, and a
// local user may send to anybody.
#pragma once

#include "lib/config/config.h"

namespace posthouse::tools {

// Until QUIT or the end of standard input. The exit status.
int serve_smtp(const config::Config& config);

} // namespace posthouse::tools
