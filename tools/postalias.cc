/*
NAME
    postalias - make, change and ask alias tables
SYNOPSIS
    postalias [-finNoprsuUvw] [-c DIR] [-d KEY] [-q KEY] [TYPE:]FILE ...
DESCRIPTION
    postalias makes the indexed table FILE.lmdb from the alias file FILE, in the format of aliases(5). It
    replaces the old table at once and whole; programs that use it notice.

    -c DIR   configuration directory; default: the environment's MAIL_CONFIG, or the built-in one
    -d KEY   remove this alias from the table; "-": the names on standard input
    -f       names keep upper and lower case
    -i       add the aliases on standard input to the table
    -n, -N   without, with a null byte at the end of keys and values; both are found. Default: without
    -o       as root, write tables of other users as root
    -p       do not copy the source file's permissions
    -q KEY   print what the alias KEY stands for; "-": for each line of standard input
    -r       the last of equal names counts, without warning
    -s       print all aliases
    -u, -U   accepted for compatibility: text is taken as it is
    -v       say more
    -w       the first of equal names counts, without warning
    --help   print a summary
DIAGNOSTICS
    Exit status 0 on success and when a name was found, 1 when none was found or upon trouble, 64 for a
    wrong command line.
SEE ALSO
    aliases(5), newaliases(1), postmap(1)
*/
#include "lib/table/aliases.h"
#include "tools/table_options.h"

#include <string>
#include <vector>

using namespace posthouse;

namespace {

constexpr const char* usage =
    "usage: postalias [-finNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...\n"
    "  (none) make the table   -i add from stdin       -d remove a name\n"
    "  -q     ask for a name   -s print all aliases\n";

std::vector<std::string> lines_as_they_are(std::vector<std::string> lines, bool, bool) { return lines; }

} // namespace

int main(int argc, char** argv)
{
    return tools::table_main(argc, argv, "postalias", usage, "c:d:finNopq:rsuUvw", table::parse_alias_line,
                             lines_as_they_are);
}
