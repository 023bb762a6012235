// Disk: the few calls by which the queue changes a file, so that tests can record and break them.
// Thread-safe when the implementation is.
#pragma once

#include <cstdint>
#include <sys/types.h>
#include <sys/uio.h>

namespace posthouse::queue {

class Disk {
public:
    virtual ~Disk() = default;
    // As the system calls: -1 and errno, short writes possible.
    virtual ssize_t pwritev(int fd, const iovec* parts, int count, uint64_t offset) = 0;
    virtual int fdatasync(int fd) = 0;
    virtual int syncfs(int fd) = 0;

    static Disk& system(); // the real one
};

} // namespace posthouse::queue
