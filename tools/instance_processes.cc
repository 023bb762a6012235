// Looking at processes through /proc: see instance_processes.h.
#include "tools/instance_processes.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"

#include <algorithm>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::tools {

namespace {

constexpr size_t proc_limit = 65536;

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

double up_seconds()
{
    const auto text = read_file("/proc/uptime", proc_limit);
    return text ? atof(text->c_str()) : 0;
}

struct Entry {
    Process process;
    pid_t parent = 0;
};

// "/proc/PID/stat": pid (name) state parent ... and the start time, in clock ticks since boot, as the 22nd.
std::optional<Entry> read_entry(std::string_view pid_text, double up)
{
    const auto pid = ascii::parse_unsigned(pid_text);
    if (!pid)
        return std::nullopt;
    const std::string folder = cat("/proc/", pid_text);
    const auto text = read_file(cat(folder, "/stat"), proc_limit);
    if (!text)
        return std::nullopt;
    const size_t open = text->find('(');
    const size_t close = text->rfind(')');
    if (open == std::string::npos || close == std::string::npos)
        return std::nullopt;
    const auto fields = ascii::split(std::string_view(*text).substr(close + 1), " ");
    if (fields.size() < 20)
        return std::nullopt;
    Entry entry;
    entry.process.pid = static_cast<pid_t>(*pid);
    entry.process.name = text->substr(open + 1, close - open - 1);
    entry.parent = static_cast<pid_t>(ascii::parse_unsigned(fields[1]).value_or(0));
    const double started = static_cast<double>(ascii::parse_unsigned(fields[19]).value_or(0))
        / static_cast<double>(::sysconf(_SC_CLK_TCK));
    entry.process.age_seconds = static_cast<long>(std::max(0.0, up - started));
    struct stat status;
    if (::stat(folder.c_str(), &status) == 0) {
        const passwd* user = ::getpwuid(status.st_uid);
        entry.process.user = user ? user->pw_name : cat(status.st_uid);
    }
    return entry;
}

std::vector<Entry> all_entries()
{
    std::vector<Entry> entries;
    const double up = up_seconds();
    const std::unique_ptr<DIR, CloseDirectory> directory(::opendir("/proc"));
    while (const dirent* item = directory ? ::readdir(directory.get()) : nullptr)
        if (auto entry = read_entry(item->d_name, up))
            entries.push_back(std::move(*entry));
    return entries;
}

} // namespace

std::optional<pid_t> running_master(const std::string& queue_directory)
{
    const std::string path = cat(queue_directory, "/pid/master.pid");
    auto fd = open_at(AT_FDCWD, path, O_RDONLY);
    if (!fd || ::flock(fd->get(), LOCK_SH | LOCK_NB) == 0)
        return std::nullopt; // nobody holds the lock: whatever the file says is old
    const auto text = read_file(path, 64);
    if (!text)
        return std::nullopt;
    const auto pid = ascii::parse_unsigned(ascii::trim(*text));
    return pid && *pid > 0 ? std::optional<pid_t>(static_cast<pid_t>(*pid)) : std::nullopt;
}

std::vector<Process> processes_below(pid_t pid)
{
    const std::vector<Entry> entries = all_entries();
    std::vector<Process> below;
    std::vector<pid_t> parents = {pid};
    for (size_t next = 0; next < parents.size(); ++next) {
        for (const Entry& entry : entries) {
            if (entry.parent != parents[next])
                continue;
            parents.push_back(entry.process.pid);
            below.push_back(entry.process);
        }
    }
    std::sort(below.begin(), below.end(), [](const Process& a, const Process& b) { return a.pid < b.pid; });
    return below;
}

std::string age_text(long seconds)
{
    if (seconds >= 86400)
        return cat(seconds / 86400, "d ", seconds % 86400 / 3600, 'h');
    if (seconds >= 3600)
        return cat(seconds / 3600, "h ", seconds % 3600 / 60, 'm');
    if (seconds >= 60)
        return cat(seconds / 60, "m ", seconds % 60, 's');
    return cat(seconds, 's');
}

} // namespace posthouse::tools
