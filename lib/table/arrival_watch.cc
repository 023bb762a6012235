// Waiting for a table's file: see arrival_watch.h.
#include "lib/table/arrival_watch.h"

#include "lib/base/cat.h"

#include <cerrno>
#include <climits>
#include <cstring>
#include <sys/inotify.h>
#include <unistd.h>

namespace posthouse::table {

namespace {

constexpr Duration between_blind_retries = Duration::seconds(60);
constexpr int most_links = 8;
constexpr uint32_t of_interest = IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;

// "/a/b" of "/a/b/c", "." of "c".
std::string parent_of(const std::string& path)
{
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos)
        return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

} // namespace

ArrivalWatch::ArrivalWatch(const std::string& path) : blind_retry_(Instant::now() + between_blind_retries), active_(true)
{
    inotify_.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!inotify_)
        return; // the limit of instances is reached
    if (!add(path, most_links))
        inotify_.reset();
}

// The nearest directory above `path` that is there, and what is to appear in it. False when it cannot be watched.
bool ArrivalWatch::add(const std::string& path, int links)
{
    std::string awaited = path;
    for (std::string directory = parent_of(path);; directory = parent_of(awaited)) {
        const int watch = ::inotify_add_watch(inotify_.get(), directory.c_str(), of_interest | IN_ONLYDIR);
        if (watch >= 0) {
            awaited_.emplace_back(watch, last_part(awaited));
            break;
        }
        if ((errno != ENOENT && errno != ENOTDIR) || directory == "/" || directory == ".")
            return false;
        awaited = directory;
    }
    char target[PATH_MAX];
    const ssize_t length = ::readlink(awaited.c_str(), target, sizeof target);
    if (length <= 0 || links == 0)
        return true;
    const std::string named(target, static_cast<size_t>(length));
    return add(named.front() == '/' ? named : cat(parent_of(awaited), '/', named), links - 1);
}

// An event without a name is about the directory itself; one without a watch tells of lost events.
bool ArrivalWatch::concerns_us(int watch, std::string_view name) const
{
    if (watch < 0 || name.empty())
        return true;
    for (const auto& [directory, awaited] : awaited_)
        if (directory == watch && awaited == name)
            return true;
    return false;
}

bool ArrivalWatch::due() const
{
    if (!active_ || due_)
        return due_;
    if (!inotify_) {
        due_ = Instant::now() >= blind_retry_;
        return due_;
    }
    alignas(inotify_event) char buffer[16 * (sizeof(inotify_event) + NAME_MAX + 1)];
    ssize_t got = 0;
    while (!due_ && (got = ::read(inotify_.get(), buffer, sizeof buffer)) > 0) {
        const size_t end = static_cast<size_t>(got);
        for (size_t at = 0; at < end;) {
            inotify_event event;
            std::memcpy(&event, buffer + at, sizeof event);
            const char* name = buffer + at + sizeof event;
            due_ = due_ || concerns_us(event.wd, std::string_view(name, ::strnlen(name, event.len)));
            at += sizeof event + event.len;
        }
    }
    return due_;
}

} // namespace posthouse::table
