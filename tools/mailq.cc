/*
NAME
    mailq - show the mail queue
SYNOPSIS
    mailq [-C DIR]
DESCRIPTION
    mailq runs `postqueue -p`, which is set-gid and so may ask the queue manager. It prints each message
    with its queue ID, size, arrival time and sender, the reasons for which it waits, and its recipients.
    After the queue ID: * being delivered, ! on hold, # to be expired. Letters that sendmail(1) knows are
    accepted and ignored, as in `mailq -v`.

    -C DIR   configuration directory; default: the environment's MAIL_CONFIG, or the built-in one
    --help   print a summary
DIAGNOSTICS
    That of postqueue: 0 on success, 69 when the mail system is not available, 77 for a user who may not look
    (authorized_mailq_users), 78 when main.cf cannot be used.
SEE ALSO
    postqueue(1), postsuper(1), sendmail(1), qmgr(8)
*/
#include "tools/show_queue.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sysexits.h>
#include <unistd.h>

using namespace posthouse;

int main(int argc, char** argv)
{
    std::string directory;
    for (int at = 1; at < argc; ++at) {
        const bool is_directory = std::strcmp(argv[at], "-C") == 0 || std::strcmp(argv[at], "-c") == 0;
        if (std::strcmp(argv[at], "--help") == 0) {
            std::fputs("usage: mailq [-C config_dir]\n", stdout);
            return EX_OK;
        }
        if (is_directory && at + 1 < argc)
            directory = argv[++at];
    }
    const auto config = tools::command_config(directory, "mailq");
    if (!config)
        return EX_CONFIG;
    // Only postqueue is set-gid.
    const std::string postqueue = config->text("command_directory") + "/postqueue";
    ::setenv("MAIL_CONFIG", config->directory().c_str(), 1);
    ::execl(postqueue.c_str(), "postqueue", "-p", static_cast<char*>(nullptr));
    std::fprintf(stderr, "mailq: fatal: execute %s: %s\n", postqueue.c_str(), std::strerror(errno));
    return EX_OSFILE;
}
