// The spawner: the only part of local and virtual that keeps root. It looks users up and forks workers that
// become them; it never sees a message or an address. The router (which runs as the mail owner, and reads
// what strangers wrote) asks it over a socket of packets, see spawn_protocol.h. It is built for a router
// that has been taken over:
//
//   local    StartUser   the mailbox is home_mailbox below the user's home, or the user's own in
//                        mail_spool_directory, by the spawner's own look at the user database
//            StartFiles  the ids of default_privs, no user's mailbox, and not at all when allow_mail_to_files
//                        names neither alias nor include
//   virtual  StartIds    below virtual_mailbox_base only; the ids of static: tables and no others, else
//                        none below virtual_minimum_uid, except for the group that the user of the uid has
//                        in the user database
//
// Anything else is refused, and so are the uid and gid of root. What a worker may do is its Mandate, and
// is fixed when it is forked.
#pragma once

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "local/settings.h"
#include "local/spawn_protocol.h"

namespace posthouse::local {

// Forks the spawner and returns the router's end of its socket. Call it before any thread exists.
Result<UniqueFd> start_spawner(const Settings& settings);

} // namespace posthouse::local
