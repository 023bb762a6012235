/*
NAME
    postconf - show and change the configuration
SYNOPSIS
    postconf [-dfhHnqx] [-c DIR] [-C CLASS,...] [-o NAME=VALUE] [NAME ...]
    postconf [-e] [-c DIR] NAME=VALUE ...
    postconf -# | -X [-c DIR] NAME ...
    postconf -M [-e | -# | -X] [-f] [-c DIR] [SERVICE[/TYPE][=ENTRY] ...]
    postconf -F [-e] [-fhHx] [-c DIR] [SERVICE[/TYPE[/FIELD]][=VALUE] ...]
    postconf -P [-e | -X] [-fhHx] [-c DIR] [SERVICE[/TYPE[/NAME]][=VALUE] ...]
    postconf -l | -m
DESCRIPTION
    postconf prints the parameters of main.cf(5), all or those named, as "name = value". It works with a
    configuration that has faults; those go to standard error.

    -c DIR   configuration directory; default: the environment's MAIL_CONFIG, or the built-in one
    -C CLASS only these parameters, separated by commas: builtin, the table of main.cf(5); service, limits
             of a transport that main.cf sets, such as relay_destination_concurrency_limit; user, names that
             only this configuration has; all, the default
    -d       print defaults instead of what is set
    -e       change main.cf: each NAME=VALUE replaces its entry where it stands or is added at the end;
             comments and order stay. The file is replaced at once and whole
    -F       the fields of entries in master.cf, as service/type/field = value; fields are service, type,
             private, unprivileged, chroot, wakeup, process_limit and command. With -e, change them
    -f       fold long lines
    -h       print values without names
    -H       print names without values
    -l       list the ways to lock a mailbox
    -M       the entries of master.cf(5) instead of parameters; with -e, -# or -X, change them
    -m       list the types of lookup tables
    -n       print only what main.cf sets
    -o NAME=VALUE
             a value that counts instead of the one in main.cf, for this output
    -P       the -o options of entries in master.cf, as service/type/name = value; with -e or -X,
             change them
    -q       no warnings of unknown names and of faults
    -x       expand $name in values
    -#       make comments of these entries of main.cf or master.cf
    -X       remove these entries
    -p, -v   accepted for compatibility
    -a, -A, -b, -j, -t, -T
             known from Postfix and refused: what they show does not exist here
    --help   print a summary
DIAGNOSTICS
    Exit status 0 on success, also when a name is unknown, of which a warning tells; 1 when a file cannot be
    read or written; 64 for a wrong command line.
SEE ALSO
    main.cf(5), master.cf(5), posthouse(1)
*/
#include "lib/base/ascii.h"
#include "lib/table/table.h"
#include "tools/postconf_options.h"

#include <cstdio>
#include <string>
#include <string_view>
#include <sysexits.h>

using namespace posthouse;
using postconf::Subject;

namespace {

constexpr const char* usage =
    "usage: postconf [-dfhHnqx] [-c config_dir] [-C class,...] [-o name=value] [name...]\n"
    "       postconf [-e] name=value...    -# name...    -X name...\n"
    "       postconf -M [-e|-#|-X] [service/type[=entry]...]\n"
    "       postconf -F [-e] [service/type/field[=value]...]\n"
    "       postconf -P [-e|-X] [service/type/name[=value]...]\n"
    "       postconf -l | -m\n"
    "  -d defaults    -n only what is set    -x expand $name    -h values only    -H names only\n"
    "  -e change      -# comment out         -X remove          -f fold lines     -q no warnings\n"
    "  -M entries of master.cf    -F their fields    -P their options    -m types of tables    -l ways to lock\n";

int show_words(const std::string& words)
{
    for (std::string_view word : ascii::split(words, " "))
        printf("%.*s\n", static_cast<int>(word.size()), word.data());
    return 0;
}

int run(const postconf::Options& options)
{
    if (options.edit)
        return postconf::run_edit(options);
    switch (options.subject) {
    case Subject::Parameters: return postconf::show_parameters(options);
    case Subject::Services:
    case Subject::ServiceFields:
    case Subject::ServiceOptions: return postconf::show_services(options);
    case Subject::TableTypes: return show_words(table::known_types());
    case Subject::LockMethods: return show_words("flock fcntl dotlock");
    }
    return 1;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc == 2 && std::string_view(argv[1]) == "--help") {
        fputs(usage, stdout);
        return 0;
    }
    auto options = postconf::parse(argc, argv);
    if (!options) {
        fputs(usage, stderr);
        return EX_USAGE;
    }
    int status = run(*options);
    return fflush(stdout) == 0 ? status : 1;
}
