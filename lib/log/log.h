// The log: one line an event, in Postfix's shape, to syslog (facility mail) or to a file:
//   Nov 22 03:38:01 host posthouse/smtpd[123]: 4Wxyz...: client=...
// All text is sanitised here, once: control characters, line breaks and what is no UTF-8 become '?', a line
// is clipped.
// Never pass credentials or message content.
#pragma once

#include "lib/base/cat.h"

#include <string>
#include <string_view>

namespace posthouse::log {

enum class Level : unsigned char { Debug, Info, Warning, Error, Fatal, Panic };

struct Sink {
    enum class To : unsigned char { Syslog, File, Stderr } to = To::Stderr;
    std::string path;         // File
    unsigned permissions = 0600; // of a file that is made
    std::string syslog_name;  // "posthouse" or "postfix/submission"
    std::string program;      // "smtpd"
    std::string facility = "mail";
    bool debug = false;
};

// Opens the sink before chroot. May be called again (reload); until then lines go to stderr.
// False when the file cannot be opened; the old sink stays.
bool open(const Sink& sink);
// False while lines only go to stderr.
bool is_open();

void write(Level level, std::string_view text);
bool debug_enabled();
// While on, warnings and worse go to stderr as well: a daemon's start, seen from a terminal.
void echo_to_stderr(bool on);

template <class... Parts>
void info(const Parts&... parts)
{
    write(Level::Info, cat(parts...));
}
template <class... Parts>
void warning(const Parts&... parts)
{
    write(Level::Warning, cat(parts...));
}
template <class... Parts>
void error(const Parts&... parts)
{
    write(Level::Error, cat(parts...));
}
template <class... Parts>
void debug(const Parts&... parts)
{
    if (debug_enabled())
        write(Level::Debug, cat(parts...));
}

// Unusable configuration or environment: logs "fatal: ..." and exits with status 1.
[[noreturn]] void fatal(std::string_view text);
// A broken invariant: logs "panic: ..." and aborts.
[[noreturn]] void panic(std::string_view text);
// A bug that ends only one task: logs "panic: ...".
void panic_event(std::string_view text);

// What `write` does to text from outside; for tests and for the tools that print such text.
std::string sanitise(std::string_view text, size_t limit = 2000);

} // namespace posthouse::log
