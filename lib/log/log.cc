// Writing log lines: see log.h. A file sink is opened for appending and each line is one write, so that
// several processes share a file and a line stays whole.
#include "lib/log/log.h"

#include "lib/base/ascii.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

namespace posthouse::log {

namespace {

struct State {
    Sink sink;
    std::string ident; // openlog keeps the pointer
    std::string hostname = "localhost";
    int fd = -1;
    bool echo = false; // warnings and worse to stderr too
    pid_t pid = 0;     // 0: to be asked for
    // The time stamp is made anew once a second.
    time_t stamp_second = 0;
    char stamp[32] = "";
};
State state; // one of the two globals that STYLE allows

struct LevelText {
    const char* prefix;
    int syslog_priority;
};
constexpr LevelText level_texts[] = {
    {"debug: ", LOG_DEBUG}, {"", LOG_INFO},          {"warning: ", LOG_WARNING},
    {"error: ", LOG_ERR},   {"fatal: ", LOG_CRIT}, {"panic: ", LOG_CRIT},
};

struct Facility {
    const char* name;
    int value;
};
constexpr Facility facilities[] = {
    {"mail", LOG_MAIL},     {"daemon", LOG_DAEMON}, {"user", LOG_USER},     {"local0", LOG_LOCAL0},
    {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},
    {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
};

int facility_value(std::string_view name)
{
    for (const Facility& facility : facilities)
        if (ascii::equal(facility.name, name))
            return facility.value;
    return LOG_MAIL;
}

const char* time_stamp()
{
    const time_t now = ::time(nullptr);
    if (now != state.stamp_second) {
        tm local;
        localtime_r(&now, &local);
        strftime(state.stamp, sizeof state.stamp, "%b %e %H:%M:%S", &local);
        state.stamp_second = now;
    }
    return state.stamp;
}

// Asked for once in a process: it is a system call. local and master fork.
pid_t own_pid()
{
    if (state.pid == 0) {
        static const int registered = ::pthread_atfork(nullptr, nullptr, [] { state.pid = 0; });
        const pid_t pid = ::getpid();
        if (registered != 0) // out of memory: then each time
            return pid;
        state.pid = pid;
    }
    return state.pid;
}

void write_line(int fd, std::string_view line)
{
    while (!line.empty()) {
        const ssize_t done = ::write(fd, line.data(), line.size());
        if (done < 0 && errno != EINTR)
            return; // nowhere left to say so
        if (done > 0)
            line.remove_prefix(static_cast<size_t>(done));
    }
}

// A file that is there keeps its permissions; one that is made gets those of the sink, whatever the umask.
int open_file(const Sink& sink)
{
    constexpr int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY;
    const int made = ::open(sink.path.c_str(), flags | O_CREAT | O_EXCL, 0600);
    if (made >= 0 && sink.permissions != 0600)
        (void)::fchmod(made, sink.permissions); // as good as it gets: the log works
    return made >= 0 || errno != EEXIST ? made : ::open(sink.path.c_str(), flags | O_CREAT, 0600);
}

} // namespace

bool open(const Sink& sink)
{
    int fd = -1;
    if (sink.to == Sink::To::File) {
        if (sink.path == "/dev/stdout")
            fd = ::dup(STDOUT_FILENO);
        else
            fd = open_file(sink);
        if (fd < 0)
            return false;
    }
    if (state.fd >= 0)
        ::close(state.fd);
    state.fd = fd;
    state.sink = sink;
    state.ident = sink.program.empty() ? sink.syslog_name : cat(sink.syslog_name, '/', sink.program);
    char name[256] = "";
    if (gethostname(name, sizeof name - 1) == 0 && name[0])
        state.hostname = std::string(name).substr(0, std::string_view(name).find('.'));
    time_stamp(); // localtime reads its zone file before a chroot
    if (sink.to == Sink::To::Syslog)
        openlog(state.ident.c_str(), LOG_PID | LOG_NDELAY, facility_value(sink.facility));
    return true;
}

bool is_open() { return state.sink.to != Sink::To::Stderr; }

bool debug_enabled() { return state.sink.debug; }

void echo_to_stderr(bool on) { state.echo = on; }

namespace {

// Bytes of the well-formed UTF-8 character at the start of `text` (RFC 3629 section 4); 0: there is none.
size_t utf8_length(std::string_view text)
{
    const auto byte = [text](size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u; };
    const unsigned lead = byte(0);
    if (lead < 0x80)
        return 1;
    const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    // No overlong forms, no surrogates, nothing above U+10FFFF: the second byte's bounds.
    const unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (lead < 0xc2 || lead > 0xf4 || byte(1) < low || byte(1) > high)
        return 0;
    for (size_t at = 2; at < length; ++at)
        if ((byte(at) & 0xc0) != 0x80)
            return 0;
    return length;
}

} // namespace

std::string sanitise(std::string_view text, size_t limit)
{
    const bool clipped = text.size() > limit;
    std::string out(text.substr(0, limit));
    for (size_t at = 0; at < out.size();) {
        const size_t length = utf8_length(std::string_view(out).substr(at));
        if (length == 0 || ascii::is_control(out[at]))
            out[at] = '?';
        at += std::max<size_t>(length, 1);
    }
    if (clipped)
        out += "...";
    return out;
}

void write(Level level, std::string_view text)
{
    const LevelText& level_text = level_texts[static_cast<size_t>(level)];
    const std::string clean = sanitise(text);
    if (state.echo && level >= Level::Warning && state.sink.to != Sink::To::Stderr)
        write_line(STDERR_FILENO, cat(state.ident, ": ", level_text.prefix, clean, '\n'));
    if (state.sink.to == Sink::To::Syslog) {
        syslog(level_text.syslog_priority, "%s%s", level_text.prefix, clean.c_str());
        return;
    }
    if (state.sink.to == Sink::To::Stderr) {
        write_line(STDERR_FILENO,
                   cat(state.ident.empty() ? std::string_view("posthouse") : std::string_view(state.ident),
                       ": ", level_text.prefix, clean, '\n'));
        return;
    }
    write_line(state.fd, cat(time_stamp(), ' ', state.hostname, ' ', state.ident, '[', own_pid(), "]: ",
                             level_text.prefix, clean, '\n'));
}

void fatal(std::string_view text)
{
    write(Level::Fatal, text);
    _exit(1);
}

void panic(std::string_view text)
{
    write(Level::Panic, text);
    abort();
}

void panic_event(std::string_view text) { write(Level::Panic, text); }

} // namespace posthouse::log
