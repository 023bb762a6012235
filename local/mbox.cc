// mbox delivery: see mbox.h.
#include "local/mbox.h"

#include "lib/base/cat.h"
#include "lib/base/unique_fd.h"
#include "local/durable_name.h"
#include "local/message_copy.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <optional>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::local {

namespace {

using Status = MailboxResult::Status;

constexpr mode_t mailbox_mode = 0600;

MailboxResult locked_out(const MailboxJob& job)
{
    return MailboxResult(Status::Locked, "4.2.0", cat("cannot lock mailbox ", job.path, ": it is in use"));
}

// path.lock, removed with the object.
class DotLock {
public:
    DotLock() = default;
    DotLock(const DotLock&) = delete;
    DotLock& operator=(const DotLock&) = delete;
    ~DotLock()
    {
        if (!path_.empty())
            ::unlink(path_.c_str());
    }
    std::optional<MailboxResult> take(const MailboxJob& job, const MailboxRules& rules);

private:
    static bool remove_stale(const std::string& path, uint32_t seconds)
    {
        struct stat status;
        return ::stat(path.c_str(), &status) == 0 && status.st_mtime + static_cast<time_t>(seconds) < ::time(nullptr) &&
               ::unlink(path.c_str()) == 0;
    }
    std::string path_;
};

std::optional<MailboxResult> DotLock::take(const MailboxJob& job, const MailboxRules& rules)
{
    const std::string path = job.path + ".lock";
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0));
    if (!fd && errno == EEXIST) {
        if (!remove_stale(path, rules.stale_lock_seconds))
            return locked_out(job);
        fd.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0));
    }
    if (fd) {
        path_ = path;
        return std::nullopt;
    }
    // Where the user may not create files (/var/mail), nobody else of them can lock this way either.
    if (errno == EACCES || errno == EPERM)
        return std::nullopt;
    return errno == EEXIST ? locked_out(job) : system_failure(cat("create ", path), errno);
}

// An open-file-description lock: it also keeps other threads out, and conflicts with others' fcntl locks.
bool lock_file(int fd, MailboxRules::Lock kind)
{
    if (kind == MailboxRules::LockFlock)
        return ::flock(fd, LOCK_EX | LOCK_NB) == 0;
    struct flock range = {};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    return ::fcntl(fd, F_OFD_SETLK, &range) == 0;
}

std::optional<MailboxResult> take_file_lock(int fd, MailboxRules::Lock kind, const MailboxJob& job,
                                            const MailboxRules& rules)
{
    if (!(rules.locks & kind) || lock_file(fd, kind))
        return std::nullopt;
    if (errno == EAGAIN || errno == EACCES || errno == EINTR)
        return locked_out(job);
    return system_failure(cat("lock ", job.path), errno);
}

// A mailbox is a plain file of the recipient's with one name. Anything else may be a trap.
std::optional<MailboxResult> check_file(const MailboxJob& job, const MailboxRules& rules, const struct stat& status)
{
    const char* fault = nullptr;
    if (!S_ISREG(status.st_mode))
        fault = "is not a regular file";
    else if (status.st_nlink != 1)
        fault = "has more than one name";
    else if (status.st_mode & 0111)
        fault = "is executable";
    else if (job.kind == MailboxJob::Kind::Mbox && rules.strict_ownership && status.st_uid != ::geteuid())
        fault = "is not owned by the recipient";
    if (!fault)
        return std::nullopt;
    return MailboxResult(Status::Deferred, "4.2.0", cat("destination ", job.path, ' ', fault));
}

// "From sender  Sun Nov 22 03:38:01 2026": its date is local time, as mail readers expect.
std::string from_line(const MailboxJob& job)
{
    const time_t now = ::time(nullptr);
    tm parts;
    char date[64];
    ::localtime_r(&now, &parts);
    ::strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &parts);
    std::string sender = job.sender.empty() ? "MAILER-DAEMON" : job.sender;
    for (char& c : sender)
        if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) // one word, and above all one line
            c = '-';
    return cat("From ", sender, "  ", date, '\n');
}

// Both must lead to the same file: a reader may have put another in its place while we waited.
bool same_file(int fd, const std::string& path)
{
    struct stat opened;
    struct stat named;
    return ::fstat(fd, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

// What has to come first so that "From " stands at the beginning of a line, after an empty one: a crash may
// have left half a message. Empty when the file is in order, or cannot be read.
std::string missing_line_ends(int fd, off_t end)
{
    char tail[2];
    const off_t size = std::min<off_t>(end, sizeof tail);
    if (size == 0 || ::pread(fd, tail, static_cast<size_t>(size), end - size) != size)
        return "";
    if (tail[size - 1] != '\n')
        return "\n\n";
    return size == 2 && tail[0] == '\n' ? "" : "\n";
}

MailboxResult copy_failure(const MailboxJob& job, const Error& error)
{
    if (error.errno_value() != 0)
        return system_failure(cat("write ", job.path), error.errno_value());
    return MailboxResult(Status::Deferred, "4.3.0", error.full_text());
}

MailboxResult append(const MailboxJob& job, const MailboxRules& rules, int message, int fd)
{
    const off_t end = ::lseek(fd, 0, SEEK_END);
    if (end < 0)
        return system_failure(cat("find the end of ", job.path), errno);
    if (rules.size_limit != 0 && static_cast<uint64_t>(end) + job.content.size > rules.size_limit)
        return MailboxResult(Status::Deferred, "4.2.2", cat("mailbox ", job.path, " is full"));
    // One with content has a name on the disk; this one may have been made just now, or by an attempt that failed.
    if (end == 0)
        if (auto synced = sync_name(job.path); !synced)
            return system_failure(cat("sync the folder of ", job.path), synced.error().errno_value());
    const auto give_up = [&](MailboxResult result) {
        if (::ftruncate(fd, end) == 0)
            ::fsync(fd);
        else
            append_to(result.text, "; and a part of the message is left in it: ", strerror(errno));
        return result;
    };
    auto copied = copy_message(message, job, missing_line_ends(fd, end) + from_line(job), true, fd);
    if (!copied)
        return give_up(copy_failure(job, copied.error()));
    if (::write(fd, "\n", 1) != 1) // the empty line between two messages
        return give_up(system_failure(cat("write ", job.path), errno));
    if (::fsync(fd) != 0)
        return give_up(system_failure(cat("sync ", job.path), errno));
    return MailboxResult(Status::Delivered, "2.0.0",
                         job.kind == MailboxJob::Kind::File ? cat("delivered to file: ", job.path) : "delivered to mailbox");
}

// aliases(5) often name /dev/null.
MailboxResult write_to_device(const MailboxJob& job, int message, int fd)
{
    auto copied = copy_message(message, job, from_line(job), true, fd);
    if (!copied)
        return copy_failure(job, copied.error());
    return MailboxResult(Status::Delivered, "2.0.0", cat("delivered to file: ", job.path));
}

} // namespace

// Readable where that is allowed, for a look at its end.
UniqueFd open_mailbox(const std::string& path, int more_flags)
{
    const int flags = O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | more_flags;
    UniqueFd file(::open(path.c_str(), flags | O_RDWR, mailbox_mode));
    if (!file && errno == EACCES)
        file.reset(::open(path.c_str(), flags | O_WRONLY, mailbox_mode));
    return file;
}

MailboxResult deliver_to_mbox(const MailboxJob& job, const MailboxRules& rules, int message)
{
    UniqueFd file = open_mailbox(job.path, 0);
    if (!file && errno == ENOENT) {
        file = open_mailbox(job.path, O_CREAT | O_EXCL);
        if (!file && errno == EEXIST)
            file = open_mailbox(job.path, 0);
    }
    struct stat status;
    if (!file && errno == ELOOP)
        return system_failure(cat("cannot open ", job.path, ", a symbolic link, which is not followed"), errno);
    if (!file || ::fstat(file.get(), &status) != 0)
        return system_failure(cat("cannot open ", job.path), errno);
    if (job.kind == MailboxJob::Kind::File && S_ISCHR(status.st_mode))
        return write_to_device(job, message, file.get());
    if (auto fault = check_file(job, rules, status))
        return *fault;
    DotLock dot_lock;
    if (rules.locks & MailboxRules::LockDotfile)
        if (auto fault = dot_lock.take(job, rules))
            return *fault;
    for (const auto kind : {MailboxRules::LockFcntl, MailboxRules::LockFlock})
        if (auto fault = take_file_lock(file.get(), kind, job, rules))
            return *fault;
    if (!same_file(file.get(), job.path))
        return MailboxResult(Status::Deferred, "4.2.0", cat("mailbox ", job.path, " was replaced meanwhile"));
    return append(job, rules, message, file.get());
}

} // namespace posthouse::local
