/*
NAME
    postmap - make, change and ask lookup tables
SYNOPSIS
    postmap [-bfFhimnNoprsuUvw] [-c DIR] [-d KEY] [-q KEY] [TYPE:]FILE ...
DESCRIPTION
    postmap makes the indexed table FILE.lmdb from the text file FILE: "key whitespace value" on each
    line; a line that begins with white space continues the one before, # begins a comment line, a key with
    white space stands in double quotes. The types lmdb, hash and btree are the same thing. The new table
    replaces the old one at once and whole; programs that use it notice.

    -b       with "-q -": ask for each body line of the message on standard input
    -c DIR   configuration directory; default: the environment's MAIL_CONFIG, or the built-in one
    -d KEY   remove this record from the table; "-": the keys on standard input
    -f       keys keep upper and lower case, in making and in asking
    -F       values are names of files; the table gets their content
    -h       with "-q -": ask for each header of the message on standard input
    -i       add the records on standard input to the table
    -m       accepted for compatibility: attached parts are body text
    -n, -N   without, with a null byte at the end of keys and values; both are found. Default: without
    -o       as root, write tables of other users as root
    -p       do not copy the source file's permissions
    -q KEY   print the value for KEY, of the first table that has it; "-": for each line of standard
             input, with the key before it
    -r       the last of equal keys counts, without warning
    -s       print all records
    -u, -U   accepted for compatibility: text is taken as it is
    -v       say more
    -w       the first of equal keys counts, without warning
    --help   print a summary
DIAGNOSTICS
    Exit status 0 on success and when a key was found, 1 when none was found or upon trouble, 64 for a
    wrong command line.
SEE ALSO
    postalias(1), lookup_tables(5), postconf(1)
*/
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "tools/table_options.h"

#include <string>
#include <vector>

using namespace posthouse;

namespace {

constexpr const char* usage =
    "usage: postmap [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...\n"
    "  (none) make the table   -i add from stdin       -d remove a key\n"
    "  -q     ask for a key    -s print all records\n";

// With -h or -b: the logical header lines and the body lines of a message; else the lines as they are.
std::vector<std::string> keys_of(std::vector<std::string> lines, bool header, bool body)
{
    if (!header && !body)
        return lines;
    std::vector<std::string> keys;
    bool in_header = true;
    for (const std::string& line : lines) {
        if (in_header && line.empty()) {
            in_header = false;
        } else if (in_header) {
            if (header && ascii::is_blank(line.front()) && !keys.empty())
                append_to(keys.back(), '\n', line);
            else if (header)
                keys.push_back(line);
        } else if (body) {
            keys.push_back(line);
        }
    }
    return keys;
}

} // namespace

int main(int argc, char** argv)
{
    return tools::table_main(argc, argv, "postmap", usage, "bc:d:fFhimnNopq:rsuUvw", table::parse_record, keys_of);
}
