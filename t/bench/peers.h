// Whom the servers under test talk to: each runs until standard input ends, and prints its counts as a line of JSON for
// each line that it reads there.
#pragma once

#include <cstdint>

namespace posthouse::bench {

int run_sink(uint16_t port);   // takes all mail
int run_milter(uint16_t port); // looks at all mail, and has nothing against it

} // namespace posthouse::bench
