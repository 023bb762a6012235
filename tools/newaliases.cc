/*
NAME
    newaliases - make the alias tables anew
SYNOPSIS
    newaliases [-c DIR] [-v]
DESCRIPTION
    newaliases makes the tables that the parameter alias_database names, from the files of the same
    names, as postalias(1) does.

    -c DIR   configuration directory; default: the environment's MAIL_CONFIG, or the built-in one
    -v       say more
    --help   print a summary
DIAGNOSTICS
    Exit status 0 on success, 1 upon trouble, 64 for a wrong command line.
SEE ALSO
    aliases(5), postalias(1), sendmail(1)
*/
#include "lib/table/aliases.h"
#include "tools/table_command.h"

#include <cstdio>
#include <cstring>
#include <string>
#include <sysexits.h>
#include <unistd.h>

using namespace posthouse;

namespace {
constexpr const char* usage = "usage: newaliases [-c config_dir] [-v]\n";
}

int main(int argc, char** argv)
{
    if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
        std::fputs(usage, stdout);
        return EX_OK;
    }
    std::string directory;
    for (int letter = 0; (letter = getopt(argc, argv, "c:v")) != -1;) {
        if (letter == 'c') {
            directory = optarg;
        } else if (letter != 'v') {
            std::fputs(usage, stderr);
            return EX_USAGE;
        }
    }
    const auto command = tools::TableCommand::start("newaliases", directory);
    if (!command)
        return 1;
    int status = 0;
    for (const std::string& name : command->config().list("alias_database"))
        status = command->build(name, table::parse_alias_line, tools::BuildOptions()) || status;
    return status;
}
