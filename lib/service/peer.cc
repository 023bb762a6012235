// Credentials of a peer: see peer.h.
#include "lib/service/peer.h"

#include <algorithm>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace posthouse::service {

namespace {

bool has_group(int connection, gid_t group)
{
    std::vector<gid_t> groups(64);
    auto length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    if (::getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) != 0)
        return false; // more than our own programs have
    groups.resize(length / sizeof(gid_t));
    return std::find(groups.begin(), groups.end(), group) != groups.end();
}

} // namespace

std::optional<uid_t> peer_uid(int connection)
{
    ucred peer = ucred();
    socklen_t length = sizeof peer;
    if (::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        return std::nullopt;
    return peer.uid;
}

bool is_own_peer(int connection)
{
    const auto uid = peer_uid(connection);
    return uid && (*uid == 0 || *uid == ::geteuid());
}

bool may_give_work(int connection, std::optional<gid_t> group)
{
    if (!is_own_peer(connection))
        return false;
    return !group || peer_uid(connection) == uid_t(0) || has_group(connection, *group);
}

} // namespace posthouse::service
