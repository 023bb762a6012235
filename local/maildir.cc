// Maildir delivery: see maildir.h.
#include "local/maildir.h"

#include "lib/base/cat.h"
#include "lib/base/time.h"
#include "local/durable_name.h"
#include "local/message_copy.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::local {

// ---- the shared sync

int SharedSync::sync(int fd)
{
    std::unique_lock lock(mutex_);
    const std::shared_ptr<Round> mine = next_; // begins after this point: it covers what was done before
    while (!mine->done) {
        if (running_) {
            changed_.wait(lock);
            continue;
        }
        running_ = true;
        next_ = std::make_shared<Round>();
        lock.unlock();
        const int error = ::fsync(fd) == 0 ? 0 : errno;
        lock.lock();
        mine->done = true;
        mine->error = error;
        running_ = false;
        changed_.notify_all();
    }
    return mine->error;
}

// ---- opening

namespace {

constexpr mode_t directory_mode = 0700;
constexpr mode_t file_mode = 0600;

// Missing parents too. As the mailbox's owner, so it can go only where that user may.
Result<void> make_directories(const std::string& path)
{
    for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        const std::string part = path.substr(0, slash);
        if (::mkdir(part.c_str(), directory_mode) != 0 && errno != EEXIST && errno != EISDIR && errno != EROFS) {
            // A parent that may not be written to is fine as long as it is there.
            const int why = errno;
            if (why != EACCES || ::access(part.c_str(), F_OK) != 0)
                return Error::system(cat("create maildir ", part), why);
        }
        if (slash == std::string::npos)
            return Result<void>();
    }
}

Result<void> create_maildir(const std::string& path)
{
    for (const char* part : {"/tmp", "/new", "/cur"})
        RETURN_IF_ERROR(make_directories(path + part));
    return Result<void>();
}

// A real directory of our own: no symbolic link in its place, nobody else's.
Result<UniqueFd> open_directory(const std::string& path)
{
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd)
        return Error::system(cat("open maildir ", path), errno);
    struct stat status;
    if (::fstat(fd.get(), &status) != 0)
        return Error::system(cat("stat maildir ", path), errno);
    if (status.st_uid != ::geteuid())
        return Error(ErrorKind::Temporary, "4.2.0", cat("maildir ", path, " is not owned by the recipient"));
    return fd;
}

} // namespace

Result<void> MaildirSet::open_directories(Maildir& maildir)
{
    auto tmp = open_directory(maildir.path + "/tmp");
    if (!tmp && tmp.error().kind() == ErrorKind::NotFound) {
        RETURN_IF_ERROR(create_maildir(maildir.path));
        tmp = open_directory(maildir.path + "/tmp");
    }
    if (!tmp)
        return std::move(tmp.error());
    auto fresh = open_directory(maildir.path + "/new");
    if (!fresh && fresh.error().kind() == ErrorKind::NotFound) {
        RETURN_IF_ERROR(create_maildir(maildir.path));
        fresh = open_directory(maildir.path + "/new");
    }
    if (!fresh)
        return std::move(fresh.error());
    // Whether made just now, or by an attempt that did not live to see it on the disk.
    RETURN_IF_ERROR(sync_young_names(maildir.path + "/new"));
    struct stat status;
    if (::fstat(fresh->get(), &status) != 0)
        return Error::system(cat("stat maildir ", maildir.path), errno);
    maildir.device = status.st_dev;
    maildir.inode = status.st_ino;
    maildir.tmp = std::move(*tmp);
    maildir.fresh = std::move(*fresh);
    return Result<void>();
}

Result<MaildirSet::MaildirRef> MaildirSet::open(const std::string& path)
{
    // The kept directories count only while they are what the name leads to.
    struct stat status;
    const bool there = ::lstat((path + "/new").c_str(), &status) == 0;
    {
        const std::lock_guard lock(mutex_);
        const auto found =
            std::find_if(by_use_.begin(), by_use_.end(), [&](const MaildirRef& known) { return known->path == path; });
        if (found != by_use_.end()) {
            if (there && (*found)->device == status.st_dev && (*found)->inode == status.st_ino) {
                by_use_.splice(by_use_.begin(), by_use_, found);
                return *found;
            }
            by_use_.erase(found);
        }
    }
    auto maildir = std::make_shared<Maildir>();
    maildir->path = path;
    RETURN_IF_ERROR(open_directories(*maildir));
    const std::lock_guard lock(mutex_);
    by_use_.push_front(maildir);
    if (by_use_.size() > most_)
        by_use_.pop_back();
    return maildir;
}

// ---- delivery

namespace {

std::string unique_name(const std::string& host)
{
    static std::atomic<uint64_t> count{0};
    const int64_t now = wall_clock_us();
    return cat(now / 1000000, ".M", now % 1000000, 'P', ::getpid(), 'Q', ++count, '.', host);
}

// Removes the file in tmp/ unless it was renamed.
class TemporaryFile {
public:
    TemporaryFile(int directory, std::string name) : directory_(directory), name_(std::move(name)) {}
    ~TemporaryFile()
    {
        if (!name_.empty())
            ::unlinkat(directory_, name_.c_str(), 0);
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    void keep() { name_.clear(); }

private:
    int directory_;
    std::string name_;
};

int rename_without_replacing(int from_directory, const std::string& from, int to_directory, const std::string& to)
{
    if (::renameat2(from_directory, from.c_str(), to_directory, to.c_str(), RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS) // file systems without it
        return -1;
    return ::renameat(from_directory, from.c_str(), to_directory, to.c_str());
}

MailboxResult failure(const Error& error)
{
    if (error.errno_value() != 0)
        return system_failure(error.text().substr(0, error.text().rfind(": ")), error.errno_value());
    return MailboxResult(MailboxResult::Status::Deferred, std::string(error.dsn()), error.full_text());
}

} // namespace

MailboxResult MaildirSet::deliver(const MailboxJob& job, const MailboxRules& rules, int message)
{
    const uint64_t wire_size = job.content.size + job.headers.size() +
                               static_cast<uint64_t>(std::count(job.headers.begin(), job.headers.end(), '\n'));
    if (rules.size_limit != 0 && wire_size > rules.size_limit)
        return MailboxResult(MailboxResult::Status::Failed, "5.2.3", "message is larger than the mailbox may be");
    auto opened = open(job.path);
    if (!opened)
        return failure(opened.error());
    Maildir& maildir = **opened;

    const std::string name = unique_name(rules.host_name);
    const UniqueFd file(::openat(maildir.tmp.get(), name.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, file_mode));
    if (!file)
        return system_failure("create maildir file", errno);
    TemporaryFile temporary(maildir.tmp.get(), name);
    auto copied = copy_message(message, job, "", false, file.get());
    if (!copied)
        return failure(std::move(copied.error()).within("write maildir file"));
    if (::fdatasync(file.get()) != 0)
        return system_failure("sync maildir file", errno);
    const std::string final_name = cat(name, ",S=", copied->bytes, ",W=", wire_size);
    if (rename_without_replacing(maildir.tmp.get(), name, maildir.fresh.get(), final_name) != 0)
        return system_failure("rename maildir file", errno);
    temporary.keep();
    if (const int error = maildir.sync.sync(maildir.fresh.get()); error != 0)
        return system_failure("sync maildir", error);
    return MailboxResult(MailboxResult::Status::Delivered, "2.0.0", "delivered to maildir");
}

} // namespace posthouse::local
