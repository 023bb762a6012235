// Who is at the other end of a UNIX socket, by what the kernel noted when it was connected.
#pragma once

#include <optional>
#include <sys/types.h>

namespace posthouse::service {

// The user that has connected. None when the kernel does not say.
std::optional<uid_t> peer_uid(int connection);

// Root, or the user that this process runs as.
bool is_own_peer(int connection);

// What an agent asks of the one that gives it work: an own peer that is root, or is a member of `group` too,
// when there is one to ask for. Programs that meet strangers run as the same user as qmgr, and a sandbox does
// not stop connect(); the group is what they do not have.
bool may_give_work(int connection, std::optional<gid_t> group);

} // namespace posthouse::service
