// Acting on queue files without a queue manager: see queue_act.h.
#include "tools/queue_act.h"

#include "lib/base/cat.h"
#include "lib/base/time.h"
#include "lib/queue/disk.h"
#include "lib/queue/queue_file.h"
#include "lib/queue/queue_id.h"
#include "lib/queue/slot_files.h"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::tools {

using queue::Action;

namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

uint8_t queue_of(const queue::StoredMessage& message)
{
    if (message.held)
        return queue::Hold;
    return message.known ? queue::Deferred : queue::Incoming;
}

Result<void> make_due(int fd)
{
    if (::futimens(fd, nullptr) != 0)
        return Error::system("set the next attempt", errno);
    return Result<void>();
}

Result<void> change(int fd, Action action)
{
    queue::Disk& disk = queue::Disk::system();
    switch (action) {
    case Action::Delete:
        RETURN_IF_ERROR(queue::write_free(disk, fd));
        break;
    case Action::Hold:
        RETURN_IF_ERROR(queue::write_hold(disk, fd, true));
        break;
    case Action::Release:
        RETURN_IF_ERROR(queue::write_hold(disk, fd, false));
        RETURN_IF_ERROR(make_due(fd));
        break;
    case Action::Requeue:
        RETURN_IF_ERROR(queue::write_hold(disk, fd, false));
        RETURN_IF_ERROR(make_due(fd));
        break;
    case Action::Expire:
        RETURN_IF_ERROR(queue::write_expire(disk, fd, queue::Expire::AtNextAttempt));
        RETURN_IF_ERROR(make_due(fd));
        break;
    case Action::ForceExpire:
        RETURN_IF_ERROR(queue::write_expire(disk, fd, queue::Expire::AndRelease));
        RETURN_IF_ERROR(queue::write_hold(disk, fd, false));
        RETURN_IF_ERROR(make_due(fd));
        break;
    }
    if (::fsync(fd) != 0)
        return Error::system("sync queue file", errno);
    return Result<void>();
}

// True when it was done; nothing happens to a message that is not in `queues`, or already as wanted.
Result<bool> act_on_slot(const queue::SlotFiles& files, uint64_t number, const std::string& id,
                         const queue::ControlAct& act, std::string& found_id)
{
    const auto file = files.open(number, O_RDWR);
    if (!file)
        return false;
    const auto locked = queue::SlotFiles::lock(file->get());
    if (!locked || !*locked)
        return false; // a message that is being written
    auto examination = queue::examine_file(file->get(), number, queue::Depth::WithoutContent);
    if (!examination || examination->verdict != queue::Verdict::Complete)
        return false;
    const queue::StoredMessage& message = examination->message;
    found_id = message.id();
    const uint8_t its_queue = queue_of(message);
    const bool nothing_to_do = (act.action == Action::Hold && message.held) ||
                               (act.action == Action::Release && !message.held) ||
                               (act.action == Action::Expire && message.expire != queue::Expire::No);
    if ((!id.empty() && found_id != id) || (its_queue & act.queues) == 0 || nothing_to_do)
        return false;
    RETURN_IF_ERROR(change(file->get(), act.action));
    return true;
}

} // namespace

Result<queue::ControlEnd> act_on_files(const std::string& queue_directory, const queue::ControlAct& act,
                                       const std::function<void(const std::string& id)>& done)
{
    const queue::SlotFiles files(queue_directory);
    queue::ControlEnd end;
    std::string found_id;
    for (const std::string& id : act.ids) {
        const auto number = queue::number_of(id);
        const auto acted = number ? act_on_slot(files, *number, id, act, found_id) : Result<bool>(false);
        if (!acted)
            return acted.error();
        if (*acted) {
            ++end.count;
            done(id);
        } else {
            end.missed.push_back(id);
        }
    }
    for (unsigned directory = 0; act.all && directory < queue::directory_count; ++directory) {
        const auto numbers = files.list(directory);
        if (!numbers)
            return numbers.error();
        for (const uint64_t number : *numbers) {
            const auto acted = act_on_slot(files, number, "", act, found_id);
            if (!acted)
                return acted.error();
            if (*acted) {
                ++end.count;
                done(found_id);
            }
        }
    }
    return end;
}

Result<queue::ControlEnd> delete_corrupt(const std::string& queue_directory, const queue::ControlAct& act,
                                         const std::function<void(const std::string& id)>& done)
{
    const std::string path = cat(queue_directory, '/', queue::corrupt_directory);
    const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
    if (!directory)
        return Error::system(cat("open ", path), errno);
    queue::ControlEnd end;
    while (const dirent* entry = ::readdir(directory.get())) {
        const std::string name = entry->d_name;
        const bool wanted = name[0] != '.' && (act.all || std::find(act.ids.begin(), act.ids.end(), name) != act.ids.end());
        if (!wanted)
            continue;
        if (::unlinkat(::dirfd(directory.get()), name.c_str(), 0) != 0)
            return Error::system(cat("unlink ", path, '/', name), errno);
        ++end.count;
        done(name);
    }
    return end;
}

Result<uint64_t> check_structure(const std::string& queue_directory,
                                 const std::function<void(const std::string& path, const std::string& why)>& fault)
{
    const queue::SlotFiles files(queue_directory);
    RETURN_IF_ERROR(files.make_directories());
    uint64_t whole = 0;
    for (unsigned directory = 0; directory < queue::directory_count; ++directory) {
        const auto numbers = files.list(directory);
        if (!numbers)
            return numbers.error();
        for (const uint64_t number : *numbers) {
            const auto file = files.open(number, O_RDONLY);
            if (!file)
                continue; // gone meanwhile
            const auto examination = queue::examine_file(file->get(), number, queue::Depth::WithContent);
            if (!examination)
                fault(files.path(number), examination.error().full_text());
            else if (examination->verdict == queue::Verdict::Damaged)
                fault(files.path(number), examination->reason);
            else if (examination->verdict == queue::Verdict::Complete)
                ++whole;
        }
    }
    return whole;
}

} // namespace posthouse::tools
