// What master and a child of its tell each other over the status socket (SOCK_SEQPACKET; one message of
// one byte each). Its end is news too: a child without master finishes its sessions and leaves; a child
// that closed it is gone or about to be. Used by lib/service and master alone.
#pragma once

#include <cstddef>

namespace posthouse::service {

// child -> master
enum class ChildSays : char {
    Available = 'A', // takes more connections; the first one also means: the start succeeded
    Loaded = 'L',    // takes more, but another process on another core would help
    Busy = 'B',      // takes no more for now
    Retiring = 'R',  // takes no more at all, finishes what it has
};

// master -> child
enum class MasterSays : char {
    Wakeup = 'W',
    Stop = 'S', // finish what is under way, begin nothing new, leave
};

constexpr int first_listener_fd = 3; // the listening sockets, the status socket, the service's memory

// A child's command line, in this order:
//   PROGRAM -c DIR -n SERVICE [-z] [-u] -s LISTENERS [-o name=value]... [--] ARGUMENT...
//   PROGRAM -c DIR -n SERVICE -k [-o name=value]... [--] ARGUMENT...
// -k: print what is wrong with the settings, one line each, and exit with status 1, or 0 without a word.
// -z: chroot to queue_directory; -u: give up root even if the program would keep it.

} // namespace posthouse::service
