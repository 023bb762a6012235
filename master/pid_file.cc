// One master for each queue: see pid_file.h.
#include "master/pid_file.h"

#include "lib/base/cat.h"
#include "lib/base/file.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::master {

Result<UniqueFd> lock_pid_file(const std::string& queue_directory)
{
    const std::string path = cat(queue_directory, "/pid/master.pid");
    // Whoever can open it can lock it, and keep master from starting.
    auto fd = open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600);
    if (!fd)
        return std::move(fd.error());
    if (::fchmod(fd->get(), 0600) != 0)
        return Error::system(cat("chmod ", path), errno);
    if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
        char other[32] = "";
        const ssize_t got = ::pread(fd->get(), other, sizeof other - 1, 0);
        std::string pid(other, static_cast<size_t>(got > 0 ? got : 0));
        while (!pid.empty() && (pid.back() == '\n' || pid.back() == ' '))
            pid.pop_back();
        return Error(ErrorKind::Config, cat("the mail system is already running (master pid ", pid, ")"));
    }
    return fd;
}

Result<void> write_pid(const UniqueFd& locked)
{
    if (::ftruncate(locked.get(), 0) != 0)
        return Error::system("truncate master.pid", errno);
    return pwrite_all(locked.get(), cat(::getpid(), '\n'), 0);
}

} // namespace posthouse::master
