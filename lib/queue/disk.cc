// The real disk: see disk.h.
#include "lib/queue/disk.h"

#include <unistd.h>

namespace posthouse::queue {

namespace {

class SystemDisk final : public Disk {
public:
    ssize_t pwritev(int fd, const iovec* parts, int count, uint64_t offset) override
    {
        return ::pwritev(fd, parts, count, static_cast<off_t>(offset));
    }
    int fdatasync(int fd) override { return ::fdatasync(fd); }
    int syncfs(int fd) override { return ::syncfs(fd); }
};

} // namespace

Disk& Disk::system()
{
    static SystemDisk disk;
    return disk;
}

} // namespace posthouse::queue
