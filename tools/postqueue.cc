/*
NAME
    postqueue - show and flush the mail queue
SYNOPSIS
    postqueue [-c DIR] -p | -j | -f | -i ID | -s SITE
DESCRIPTION
    postqueue lets users look at the queue and ask for delivery attempts. It talks to the queue manager,
    qmgr(8); the listing also works while the mail system is down, for those who may read the queue files.

    -c DIR   configuration directory; default: the environment's MAIL_CONFIG, or the built-in one
    -f       try to deliver all deferred mail now; destinations that were found dead get another chance
    -i ID    try to deliver this one deferred message now
    -j       list the queue as JSON, one object a line: queue_name, queue_id, arrival_time, message_size,
             forced_expire, sender, recipients (address, orig_address when it differs, delay_reason). What waits in
             maildrop for pickup(8) has the queue_name maildrop, and its file's name as queue_id
    -p       list the queue as a table. After the queue ID: * being delivered, ! on hold, # to be expired.
             In parentheses before the recipients: why they wait
    -s SITE  try to deliver all mail for this domain now
    -v       say how many messages an order concerns
    --help   print a summary
DIAGNOSTICS
    Exit status 0 on success, 64 for a wrong command line, 69 when the mail system is not available, 77 for a
    user who may not (authorized_mailq_users, authorized_flush_users), 1 when there is no such message, 78 when
    main.cf cannot be used.
SEE ALSO
    mailq(1), postsuper(1), postcat(1), qmgr(8)
*/
#include "lib/base/cat.h"
#include "lib/ipc/channel.h"
#include "tools/control_client.h"
#include "tools/queue_ids.h"
#include "tools/set_gid.h"
#include "tools/show_queue.h"

#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <sysexits.h>
#include <unistd.h>

using namespace posthouse;

namespace {

constexpr const char* usage =
    "usage: postqueue [-c config_dir] [-v] -f | -i queue_id | -j | -p | -s site\n"
    "  -f  deliver all deferred mail now        -i  deliver this deferred message now\n"
    "  -s  deliver the mail for this domain now -p  list the queue    -j  list it as JSON\n";

struct Options {
    std::string directory;
    char mode = 0;
    std::string argument;
    bool verbose = false;
};

std::optional<Options> parse(int argc, char** argv)
{
    Options options;
    for (int letter = 0; (letter = getopt(argc, argv, "c:fi:jps:v")) != -1;) {
        if (letter == 'c')
            options.directory = optarg;
        else if (letter == 'v')
            options.verbose = true;
        else if (letter == '?' || options.mode != 0)
            return std::nullopt;
        else {
            options.mode = static_cast<char>(letter);
            options.argument = optarg != nullptr ? optarg : "";
        }
    }
    if (options.mode == 0 || optind != argc)
        return std::nullopt;
    return options;
}

int flush(const config::Config& config, const Options& options)
{
    auto client = tools::ControlClient::connect(config.text("queue_directory"));
    if (!client) {
        std::fputs(cat("postqueue: fatal: Cannot flush mail queue - mail system is down (",
                       client.error().full_text(), ")\n").c_str(), stderr);
        return EX_UNAVAILABLE;
    }
    const queue::FlushWhat what = options.mode == 'i'   ? queue::FlushWhat::Id
                                  : options.mode == 's' ? queue::FlushWhat::Site
                                                        : queue::FlushWhat::All;
    auto end = (*client)->ask(queue::ControlFlush(what, options.argument).to_frame());
    if (!end) {
        std::fputs(cat("postqueue: fatal: ", end.error().full_text(), "\n").c_str(), stderr);
        return EX_UNAVAILABLE;
    }
    if (options.verbose)
        std::printf("%llu messages\n", static_cast<unsigned long long>(end->count));
    if (end->ok)
        return EX_OK;
    if (end->denied) {
        std::fputs(cat("postqueue: fatal: ", end->text, "\n").c_str(), stderr);
        return EX_NOPERM;
    }
    std::fputs(cat("postqueue: warning: ", end->text, "\n").c_str(), stderr);
    return 1;
}

} // namespace

int main(int argc, char** argv)
{
    posthouse::tools::secure_start();
    if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
        std::fputs(usage, stdout);
        return EX_OK;
    }
    const auto options = parse(argc, argv);
    if (!options) {
        std::fputs(usage, stderr);
        return EX_USAGE;
    }
    const auto config = tools::command_config(options->directory, "postqueue");
    if (!config)
        return EX_CONFIG;
    if (options->mode == 'i' && !tools::is_queue_id("postqueue", options->argument))
        return EX_USAGE;
    if (options->mode == 'p')
        return tools::show_queue(*config, tools::ListingStyle::Table, "postqueue");
    if (options->mode == 'j')
        return tools::show_queue(*config, tools::ListingStyle::Json, "postqueue");
    return flush(*config, *options);
}
