// A worker: a process that has become one user and delivers into that user's mailboxes. It is forked by
// the spawner, holds nothing but its socket, and ends when that closes. Its threads all take jobs from
// the socket; what blocks, blocks one thread.
#pragma once

#include "lib/base/unique_fd.h"
#include "local/mandate.h"

#include <cstddef>
#include <sys/types.h>

namespace posthouse::local {

// Gives up root for good: groups, gid, uid; none of them may be that of root. False when any of it failed:
// the process must not go on.
bool become_user(uid_t uid, gid_t gid);

// Serves jobs until the other side closes. A packet is the caller's serial (8 bytes), then a MailboxJob
// with the queue file's descriptor beside it; the answer is the serial and a MailboxResult. A job that the
// mandate does not cover is answered with a deferral that says so.
void run_worker(UniqueFd link, const Mandate& mandate, const MailboxRules& rules, size_t most_threads);

constexpr size_t longest_packet = 128 * 1024;

} // namespace posthouse::local
