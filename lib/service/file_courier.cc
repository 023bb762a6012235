// Files for a process that sees none: see file_courier.h. A message is its length in four bytes, the number of files, and
// of each its path, its content, and why there is none.
#include "lib/service/file_courier.h"

#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/event/byte_stream.h"
#include "lib/ipc/codec.h"
#include "lib/service/privileges.h"
#include "lib/service/sandbox.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace posthouse::service {

namespace {

constexpr int look_interval_ms = 60000; // for what no notice comes of: network file systems, folders renamed further up
constexpr int quiet_ms = 500;           // a key and its certificate are replaced one after the other
constexpr int most_waits = 20;
constexpr int most_links = 8;
constexpr size_t length_size = 4;
constexpr size_t longest_message = 256 << 20;
constexpr size_t most_files = 100000;
constexpr uint32_t changes = IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ATTRIB | IN_ONLYDIR;

// ---- the courier's side: blocking code in a process that does nothing else

class Courier {
public:
    Courier(int to, std::vector<std::string> files, FileSet::Signature known)
        : to_(to), files_(std::move(files)), known_(std::move(known)), notices_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC))
    {
    }
    [[noreturn]] void work();

private:
    void watch(std::string path, int links);
    bool wait(int milliseconds);
    FileSet::Signature settled();
    void send();

    int to_;
    std::vector<std::string> files_;
    FileSet::Signature known_;
    UniqueFd notices_;
};

std::string folder_of(const std::string& path)
{
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// The folder where the file's name is, and where that leads when it is a symbolic link, as Let's Encrypt has them.
void Courier::watch(std::string path, int links)
{
    ::inotify_add_watch(notices_.get(), path.c_str(), changes); // when it is a folder itself
    const std::string folder = folder_of(path);
    ::inotify_add_watch(notices_.get(), folder.c_str(), changes);
    char target[PATH_MAX];
    const ssize_t size = ::readlink(path.c_str(), target, sizeof target);
    if (size <= 0 || links == 0)
        return;
    const std::string next(target, static_cast<size_t>(size));
    watch(next.front() == '/' ? next : cat(folder, '/', next), links - 1);
}

// Until a notice comes, or the time is over (false). Ends the process with the one that it serves.
bool Courier::wait(int milliseconds)
{
    pollfd sources[] = {{to_, 0, 0}, {notices_.get(), POLLIN, 0}};
    const int ready = ::poll(sources, 2, milliseconds);
    if ((sources[0].revents & (POLLHUP | POLLERR)) != 0)
        ::_exit(0);
    char notices[4096];
    while (::read(notices_.get(), notices, sizeof notices) > 0) {
    }
    return ready > 0;
}

// The signature, once it has stayed the same for a while.
FileSet::Signature Courier::settled()
{
    FileSet::Signature last = FileSet::signature(files_);
    for (int count = 0; count < most_waits; ++count) {
        wait(quiet_ms);
        FileSet::Signature now = FileSet::signature(files_);
        if (now == last)
            break;
        last = std::move(now);
    }
    return last;
}

void Courier::send()
{
    const FileSet set = FileSet::read(files_);
    ipc::Writer message;
    message.u32(static_cast<uint32_t>(set.entries().size()));
    for (const FileSet::Entry& entry : set.entries()) {
        message.string(entry.path);
        message.string(entry.content.reveal());
        message.string(entry.fault);
    }
    ipc::Writer length;
    length.u32(static_cast<uint32_t>(message.bytes().size()));
    std::string bytes = message.take();
    if (!write_all(to_, length.bytes()) || !write_all(to_, bytes))
        ::_exit(0);
    wipe(bytes);
}

void Courier::work()
{
    while (true) {
        for (const std::string& file : files_)
            watch(file, most_links);
        if (FileSet::signature(files_) != known_) {
            known_ = settled();
            send();
            continue; // new links may lead elsewhere
        }
        wait(look_interval_ms);
    }
}

[[noreturn]] void become_courier(int to, std::vector<std::string> files, FileSet::Signature known)
{
    // It ends with the process that it serves, not by a signal to the group.
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE})
        ::signal(number, SIG_IGN);
    ::prctl(PR_SET_NAME, "file-courier");
    ::dup2(STDOUT_FILENO, STDERR_FILENO); // `posthouse start` reads what programs say on their way up
    const int socket = close_all_but(to);
    limit_process(0, true);
    Sandbox sandbox;
    if (!keep_capabilities(1U << CAP_DAC_READ_SEARCH) || !enter_sandbox(sandbox, {AllowedPath("/", false)}))
        ::_exit(1);
    Courier(socket, std::move(files), std::move(known)).work();
}

// ---- the other side

Task<Result<std::string>> read_exactly(ByteStream& stream, size_t size)
{
    std::string bytes(size, '\0');
    for (size_t done = 0; done < size;) {
        auto got = co_await stream.read_some(bytes.data() + done, size - done, Deadline::never());
        if (!got)
            co_return std::move(got.error());
        if (*got == 0)
            co_return Error::disconnected("it has ended");
        done += *got;
    }
    co_return bytes;
}

bool parse_files(std::string_view message, FileSet& into)
{
    ipc::Reader reader(message);
    const uint32_t count = reader.count(most_files, 3 * sizeof(uint32_t));
    for (uint32_t at = 0; at < count; ++at) {
        std::string path = reader.string();
        Secret content(reader.view());
        std::string fault = reader.string();
        into.add(FileSet::Entry(std::move(path), std::move(content), std::move(fault)));
    }
    return reader.ok_and_finished();
}

} // namespace

Result<UniqueFd> FileCourier::start(std::vector<std::string> files, FileSet::Signature known)
{
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return Error::system("socketpair", errno);
    UniqueFd from(ends[0]);
    const UniqueFd to(ends[1]);
    ::shutdown(from.get(), SHUT_WR);
    const pid_t child = ::fork();
    if (child < 0)
        return Error::system("fork", errno);
    if (child == 0)
        become_courier(to.get(), std::move(files), std::move(known));
    return from;
}

Task<Error> FileCourier::receive(Loop& loop, UniqueFd from, std::function<void(const FileSet&)> arrived)
{
    Socket stream(loop, std::move(from));
    while (true) {
        auto head = co_await read_exactly(stream, length_size);
        if (!head)
            co_return std::move(head.error());
        const uint32_t length = ipc::Reader(*head).u32();
        if (length > longest_message)
            co_return Error(ErrorKind::Corrupt, "a message that is too long");
        auto message = co_await read_exactly(stream, length);
        if (!message)
            co_return std::move(message.error());
        FileSet files;
        const bool good = parse_files(*message, files);
        wipe(*message);
        if (!good)
            co_return Error(ErrorKind::Corrupt, "a message that breaks its format");
        arrived(files);
    }
}

} // namespace posthouse::service
