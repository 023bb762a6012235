// Slot files as files: see slot_files.h.
#include "lib/queue/slot_files.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/base/time.h"
#include "lib/queue/queue_id.h"

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace posthouse::queue {

namespace {

constexpr useconds_t lock_poll_us = 20000;

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

// Root only makes what is missing (postsuper): the queue manager, as whom mail/ belongs to, has to get at it.
Result<void> give_to_owner(int fd, const std::string& path, const std::string& mail)
{
    struct stat owner {};
    if (::geteuid() != 0)
        return Result<void>();
    if (::stat(mail.c_str(), &owner) != 0 || ::fchown(fd, owner.st_uid, owner.st_gid) != 0)
        return Error::system(cat("chown ", path), errno);
    return Result<void>();
}

Result<void> make_directory(const std::string& path, const std::string& mail)
{
    if (::mkdir(path.c_str(), 0700) != 0) {
        if (errno == EEXIST)
            return Result<void>();
        return Error::system(cat("mkdir ", path), errno);
    }
    const auto made = open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    if (!made)
        return made.error();
    return give_to_owner(made->get(), path, mail);
}

// Made by the first one to lock it. Only a file of one's own making is given away.
Result<UniqueFd> open_lock(const std::string& path, const std::string& mail)
{
    auto made = open_at(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL);
    if (!made && made.error().errno_value() == EEXIST)
        return open_at(AT_FDCWD, path, O_RDWR);
    if (made)
        RETURN_IF_ERROR(give_to_owner(made->get(), path, mail));
    return made;
}

// Space for the whole slot, where the file system can promise it: later writes change no metadata.
int preallocate(int fd, uint64_t size)
{
    if (::fallocate(fd, 0, 0, static_cast<off_t>(size)) == 0)
        return 0;
    return errno == EOPNOTSUPP ? 0 : errno;
}

} // namespace

std::string SlotFiles::path(uint64_t number) const { return cat(directory_, '/', slot_path(number)); }

Result<void> SlotFiles::make_directories() const
{
    const std::string mail = cat(directory_, '/', mail_directory);
    RETURN_IF_ERROR(make_directory(mail, mail));
    for (unsigned i = 0; i < directory_count; ++i) {
        const std::string slot = path(i);
        RETURN_IF_ERROR(make_directory(slot.substr(0, slot.rfind('/')), mail));
    }
    RETURN_IF_ERROR(make_directory(cat(directory_, '/', corrupt_directory), mail));
    RETURN_IF_ERROR(sync_directory(mail));
    return sync_directory(directory_);
}

Result<UniqueFd> SlotFiles::open(uint64_t number, int flags) const { return open_at(AT_FDCWD, path(number), flags); }

Result<UniqueFd> SlotFiles::open_to_read(uint64_t number) const
{
    auto file = open(number, O_RDONLY | O_NOATIME);
    if (!file && file.error().errno_value() == EPERM) // somebody else's file
        return open(number, O_RDONLY);
    return file;
}

Result<bool> SlotFiles::lock(int fd)
{
    while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return false;
        if (errno != EINTR)
            return Error::system("lock queue file", errno);
    }
    return true;
}

Result<UniqueFd> SlotFiles::lock_queue(Duration patience) const
{
    const std::string mail = cat(directory_, '/', mail_directory);
    auto file = open_lock(cat(mail, "/lock"), mail);
    if (!file)
        return file;
    const Instant limit = Instant::now() + patience;
    while (true) {
        const auto locked = lock(file->get());
        if (!locked)
            return locked.error();
        if (*locked)
            return file;
        if (Instant::now() >= limit)
            return Error(ErrorKind::Temporary, "4.3.2", "another queue manager has the queue");
        ::usleep(lock_poll_us);
    }
}

SlotFiles::Created SlotFiles::create(const std::vector<uint64_t>& numbers, uint64_t size) const
{
    Created created;
    for (const uint64_t number : numbers) {
        auto file = open(number, O_RDWR | O_CREAT | O_EXCL);
        if (!file && file.error().errno_value() == EEXIST)
            continue;
        if (!file) {
            created.outcome = disk_error(cat("create queue file ", path(number)), file.error().errno_value());
            break;
        }
        if (const int failure = preallocate(file->get(), size); failure != 0) {
            created.outcome = disk_error(cat("reserve ", size, " bytes for queue file ", path(number)), failure);
            (void)remove(number); // nothing is in it
            break;
        }
        created.numbers.push_back(number);
    }
    if (created.numbers.empty())
        return created;
    const std::string any = path(created.numbers.front());
    if (auto synced = sync_directory(any.substr(0, any.rfind('/'))); !synced) {
        created.outcome = synced.error();
        created.numbers.clear(); // found again at the next start, when they are there
    }
    return created;
}

Result<std::vector<uint64_t>> SlotFiles::list(unsigned directory) const
{
    std::string name = path(directory);
    name.resize(name.rfind('/'));
    const std::unique_ptr<DIR, CloseDirectory> stream(::opendir(name.c_str()));
    if (!stream)
        return Error::system(cat("open ", name), errno);
    std::vector<uint64_t> numbers;
    errno = 0;
    while (const dirent* entry = ::readdir(stream.get())) {
        const auto number = ascii::parse_unsigned(entry->d_name);
        if (number && *number % directory_count == directory && cat(*number) == entry->d_name)
            numbers.push_back(*number);
        errno = 0;
    }
    if (errno != 0)
        return Error::system(cat("read ", name), errno);
    return numbers;
}

Result<SlotFiles::Found> SlotFiles::examine(uint64_t number, bool sync) const
{
    Found found;
    found.number = number;
    auto file = open(number, O_RDWR);
    if (!file && file.error().kind() == ErrorKind::NotFound)
        return found;
    if (!file)
        return std::move(file.error());
    found.exists = true;
    auto locked = lock(file->get());
    if (!locked)
        return std::move(locked.error());
    if (!*locked) {
        found.locked = true;
        return found;
    }
    auto examination = examine_file(file->get(), number, Depth::AsNeeded);
    if (!examination)
        return std::move(examination.error());
    found.examination = *std::move(examination);
    const StoredMessage& message = found.examination.message;
    if (found.examination.verdict == Verdict::Complete && found.examination.stale_states) {
        const std::string states(message.states.size(), static_cast<char>(RecipientState::Pending));
        RETURN_IF_ERROR(pwrite_all(file->get(), states, message.states_offset));
    }
    if (sync && found.examination.verdict == Verdict::Complete && ::fdatasync(file->get()) != 0)
        return disk_error("sync queue file", errno);
    return found;
}

Result<void> SlotFiles::truncate(uint64_t number, uint64_t size) const
{
    const std::string name = path(number);
    if (::truncate(name.c_str(), static_cast<off_t>(size)) != 0)
        return Error::system(cat("truncate ", name), errno);
    return Result<void>();
}

Result<void> SlotFiles::remove(uint64_t number) const
{
    const std::string name = path(number);
    if (::unlink(name.c_str()) != 0 && errno != ENOENT)
        return Error::system(cat("unlink ", name), errno);
    return Result<void>();
}

Result<std::string> SlotFiles::set_aside(uint64_t number, const std::string& id) const
{
    const bool named = number_of(id).has_value(); // the id is text from a damaged file
    const std::string name = path(number);
    std::string target = cat(directory_, '/', corrupt_directory, '/', named ? id : cat("slot.", number));
    if (::access(target.c_str(), F_OK) == 0)
        append_to(target, '.', wall_clock_us());
    if (::rename(name.c_str(), target.c_str()) != 0)
        return Error::system(cat("rename ", name, " to ", target), errno);
    RETURN_IF_ERROR(sync_directory(target.substr(0, target.rfind('/'))));
    RETURN_IF_ERROR(sync_directory(name.substr(0, name.rfind('/'))));
    return target;
}

Result<uint64_t> SlotFiles::free_bytes() const
{
    struct statvfs space {};
    if (::statvfs(directory_.c_str(), &space) != 0)
        return Error::system("statvfs queue directory", errno);
    return static_cast<uint64_t>(space.f_bavail) * space.f_frsize;
}

} // namespace posthouse::queue
