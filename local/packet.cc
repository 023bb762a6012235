// Packets over local's own sockets: see packet.h.
#include "local/packet.h"

#include <cstring>
#include <sys/uio.h>

namespace posthouse::local {

ssize_t send_packet(int link, uint64_t serial, const std::string& bytes, int fd, int flags)
{
    iovec parts[2] = {{&serial, serial_size}, {const_cast<char*>(bytes.data()), bytes.size()}};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    return ::sendmsg(link, &message, MSG_NOSIGNAL | flags);
}

UniqueFd descriptor_of(msghdr& message)
{
    UniqueFd found;
    size_t count = 0;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = CMSG_LEN(0); at + sizeof(int) <= header->cmsg_len; at += sizeof(int)) {
            int fd;
            memcpy(&fd, reinterpret_cast<const char*>(header) + at, sizeof fd);
            found.reset(fd);
            count++;
        }
    }
    if (count != 1)
        found.reset();
    return found;
}

} // namespace posthouse::local
