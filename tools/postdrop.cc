// NAME
//     postdrop - put a message into the maildrop directory
// SYNOPSIS
//     postdrop [-c config_dir] [-r]
// DESCRIPTION
//     The postdrop command reads a message from its standard input, in the form that sendmail gives it,
//     and stores it in the maildrop directory for pickup(8). It is not meant to be run by hand.
//
//     The message is checked for its form and its size, but not interpreted: that is done by pickup,
//     without privileges. Nothing else of the mail system has to run: mail waits in the directory until
//     pickup comes.
// OPTIONS
//     -c config_dir
//         The directory of main.cf. Also: environment variable MAIL_CONFIG. When the command is set-gid
//         and the caller is not root, the directory must be listed in alternate_config_directories or
//         multi_instance_directories in the installed main.cf.
//     -r  For compatibility: the message comes from standard input. It always does.
// SECURITY
//     The command is installed set-gid to setgid_group, so that it can write into the maildrop directory
//     (mode 1730), which no other user can enter. It drops its environment, takes no file name from its
//     caller, and runs no other program.
// DIAGNOSTICS
//     The exit status is that of sysexits.h: 0 when the message is safely stored; 75 for a failure that
//     may go away, such as a full disk; 65 for input of the wrong form; 69 for a message above
//     message_size_limit; 77 when authorized_submit_users does not name the user. An unusable
//     configuration counts as a failure that may go away. Problems are logged, and told on standard error.
// FILES
//     queue_directory/maildrop, local submissions
//     queue_directory/public/pickup, to wake pickup(8)
// SEE ALSO
//     sendmail(1), the command for users
//     pickup(8), what takes the messages from there
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/event/loop.h"
#include "lib/event/task_group.h"
#include "lib/event/thread_pool.h"
#include "lib/log/log.h"
#include "lib/queue/drop_file.h"
#include "lib/table/match_list.h"
#include "tools/drop_store.h"
#include "tools/set_gid.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <pwd.h>
#include <string>
#include <sysexits.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace posthouse::tools {
namespace {

constexpr const char* usage =
    "usage: postdrop [-c config_dir] [-r]\n"
    "  stores the message that sendmail(1) gives it on standard input; not meant to be run by hand\n";

volatile sig_atomic_t interrupted = 0;
void note_signal(int) { interrupted = 1; }

// Why the message is not taken, and the exit status that says so.
class Refusal {
public:
    Refusal(int its_status, std::string its_text) : status(its_status), text(std::move(its_text)) {}
    int status;
    std::string text;
};
using Verdict = std::optional<Refusal>;

std::string caller_name()
{
    const passwd* entry = ::getpwuid(::getuid());
    return entry ? std::string(entry->pw_name) : cat(::getuid());
}

void catch_signals()
{
    struct sigaction action{};
    action.sa_handler = note_signal; // without SA_RESTART: a read in progress ends
    for (const int each : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ})
        ::sigaction(each, &action, nullptr);
    action.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &action, nullptr);
}

Task<void> match_user(table::MatchList& list, std::string user, std::optional<Result<bool>>& answer)
{
    answer.emplace(co_await list.matches_string(std::move(user)));
}

Verdict check_user(const config::Config& config)
{
    const std::string& allowed = config.text("authorized_submit_users");
    if (allowed == "static:anyone")
        return {};
    Loop loop;
    ThreadPool pool(loop, 1);
    auto list = table::MatchList::open("authorized_submit_users", allowed, false, table::Context(loop, pool, config));
    if (!list)
        return Refusal(EX_TEMPFAIL, list.error().full_text());
    std::optional<Result<bool>> answer;
    TaskGroup tasks(loop);
    tasks.spawn(match_user(**list, caller_name(), answer));
    while (!answer)
        loop.run_once(Duration::seconds(1));
    if (!*answer)
        return Refusal(EX_TEMPFAIL, answer->error().full_text());
    if (!**answer)
        return Refusal(EX_NOPERM, cat("user ", caller_name(), "(", ::getuid(), ") is not allowed to submit mail"));
    return {};
}

// Standard input to its end mark, checked, into the file.
Verdict store(DropFile& file, uint64_t message_size_limit)
{
    queue::DropReader reader;
    std::vector<char> buffer(queue::drop_record_limit);
    while (true) {
        const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (interrupted)
            return Refusal(EX_TEMPFAIL, "interrupted");
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return Refusal(EX_IOERR, Error::system("read", errno).full_text());
        if (count == 0)
            return Refusal(EX_DATAERR, std::string()); // sendmail gave up, and has said why
        const std::string_view bytes(buffer.data(), static_cast<size_t>(count));
        reader.feed(bytes);
        auto found = reader.next();
        while (found && *found == queue::DropReader::Found::Content)
            found = reader.next();
        if (!found)
            return Refusal(EX_DATAERR, found.error().full_text());
        if (message_size_limit > 0 && reader.content_size() > message_size_limit)
            return Refusal(EX_UNAVAILABLE, "message file too big");
        if (auto written = file.write(bytes); !written)
            return Refusal(EX_TEMPFAIL, written.error().full_text());
        if (*found == queue::DropReader::Found::End)
            return {};
    }
}

Verdict submit(const config::Config& config)
{
    if (auto refusal = check_user(config))
        return refusal;
    const std::string& queue_directory = config.text("queue_directory");
    const auto least_free = static_cast<uint64_t>(config.number("queue_minfree"));
    if (free_bytes(queue_directory) < least_free)
        return Refusal(EX_TEMPFAIL, cat("insufficient free space in ", queue_directory));
    auto file = DropFile::create(queue_directory + "/maildrop");
    if (!file)
        return Refusal(EX_TEMPFAIL, file.error().full_text());
    if (auto refusal = store(*file, static_cast<uint64_t>(config.number("message_size_limit"))))
        return refusal;
    if (auto done = file->complete(); !done)
        return Refusal(EX_TEMPFAIL, done.error().full_text());
    wake_pickup(queue_directory);
    return {};
}

bool log_is_open = false; // until then lines of the log go to standard error as well

int report(const Refusal& refusal)
{
    if (refusal.text.empty())
        return refusal.status;
    const std::string text = log::sanitise(cat("uid=", ::getuid(), ": ", refusal.text));
    if (log_is_open)
        log::write(log::Level::Warning, text);
    std::fprintf(stderr, "postdrop: %s\n", text.c_str());
    return refusal.status;
}

void open_log(const config::Config& config)
{
    log::Sink sink;
    sink.to = log::Sink::To::Syslog;
    sink.syslog_name = config.text("syslog_name");
    sink.program = "postdrop";
    sink.facility = config.text("syslog_facility");
    log_is_open = log::open(sink);
}

int run(int argc, char** argv)
{
    secure_start();
    catch_signals();
    if (argc == 2 && std::string_view(argv[1]) == "--help") {
        std::fputs(usage, stdout);
        return EX_OK;
    }
    std::string directory_option;
    int option = 0;
    while ((option = ::getopt(argc, argv, "c:rv")) != -1) {
        if (option == 'c')
            directory_option = optarg;
        else if (option == '?') {
            std::fputs(usage, stderr);
            return EX_USAGE;
        }
    }
    auto directory = trusted_config_directory(directory_option);
    if (!directory)
        return report(Refusal(EX_NOPERM, directory.error().full_text()));
    std::vector<config::Fault> faults;
    auto config = config::Config::load(*directory, config::Overrides(), faults);
    if (!config)
        return report(Refusal(EX_TEMPFAIL, config.error().full_text()));
    open_log(**config);
    if (auto refusal = submit(**config))
        return report(*refusal);
    return EX_OK;
}

} // namespace
} // namespace posthouse::tools

int main(int argc, char** argv)
{
    return posthouse::tools::run(argc, argv);
}
