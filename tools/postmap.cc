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
#include "tools/table_command.h"

#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <sysexits.h>
#include <unistd.h>
#include <vector>

using namespace posthouse;
using tools::BuildOptions;
using tools::TableCommand;

namespace {

constexpr const char* usage =
    "usage: postmap [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...\n"
    "  (none) make the table   -i add from stdin       -d remove a key\n"
    "  -q     ask for a key    -s print all records\n";

struct Options {
    std::string directory;
    char mode = 0; // d i q s
    std::string key;
    bool header = false;
    bool body = false;
    BuildOptions build;
    std::vector<std::string> names;
};

bool take_flag(int letter, Options& options)
{
    switch (letter) {
    case 'b': options.body = true; return true;
    case 'f': options.build.fold = false; return true;
    case 'F': options.build.values_are_files = true; return true;
    case 'h': options.header = true; return true;
    case 'N': options.build.with_null = true; return true;
    case 'n': options.build.with_null = false; return true;
    case 'o': options.build.keep_root = true; return true;
    case 'p': options.build.copy_rights = false; return true;
    case 'r': options.build.on_duplicate = BuildOptions::OnDuplicate::Replace; return true;
    case 'w': options.build.on_duplicate = BuildOptions::OnDuplicate::Ignore; return true;
    case 'm': case 'u': case 'U': case 'v': return true;
    }
    return false;
}

std::optional<Options> parse(int argc, char** argv)
{
    Options options;
    for (int letter = 0; (letter = getopt(argc, argv, "bc:d:fFhimnNopq:rsuUvw")) != -1;) {
        if (letter == 'c') {
            options.directory = optarg;
        } else if (std::strchr("diqs", letter)) {
            if (options.mode != 0)
                return std::nullopt;
            options.mode = static_cast<char>(letter);
            options.key = optarg ? optarg : "";
        } else if (!take_flag(letter, options)) {
            return std::nullopt;
        }
    }
    options.names.assign(argv + optind, argv + argc);
    if (options.names.empty() || ((options.header || options.body) && (options.mode != 'q' || options.key != "-")))
        return std::nullopt;
    return options;
}

// The logical header lines and the body lines of a message, as asked for.
std::vector<std::string> message_lines(const std::vector<std::string>& lines, bool header, bool body)
{
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

int query(TableCommand& command, const Options& options)
{
    const BuildOptions& build = options.build;
    if (options.key != "-")
        return command.query(options.names, options.key, build.fold, build.values_are_files);
    auto keys = TableCommand::lines_of_stdin();
    if (options.header || options.body)
        keys = message_lines(keys, options.header, options.body);
    return command.query_all(options.names, keys, build.fold, build.values_are_files);
}

int run(TableCommand& command, const Options& options)
{
    if (options.mode == 'q')
        return query(command, options);
    int status = options.mode == 'd' ? 1 : 0; // removed from any table: success
    for (const std::string& name : options.names) {
        int one = 0;
        if (options.mode == 'd') {
            const auto keys =
                options.key == "-" ? TableCommand::lines_of_stdin() : std::vector<std::string>(1, options.key);
            one = command.remove(name, keys, options.build);
            status = status && one;
            continue;
        }
        if (options.mode == 'i')
            one = command.add(name, table::parse_record, options.build);
        else if (options.mode == 's')
            one = command.list(name);
        else
            one = command.build(name, table::parse_record, options.build);
        status = status || one;
    }
    return status;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
        std::fputs(usage, stdout);
        return EX_OK;
    }
    const auto options = parse(argc, argv);
    if (!options) {
        std::fputs(usage, stderr);
        return EX_USAGE;
    }
    const auto command = TableCommand::start("postmap", options->directory);
    return command ? run(*command, *options) : 1;
}
