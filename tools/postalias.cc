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
    "usage: postalias [-finNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...\n"
    "  (none) make the table   -i add from stdin       -d remove a name\n"
    "  -q     ask for a name   -s print all aliases\n";

struct Options {
    std::string directory;
    char mode = 0; // d i q s
    std::string key;
    BuildOptions build;
    std::vector<std::string> names;
};

bool take_flag(int letter, Options& options)
{
    switch (letter) {
    case 'f': options.build.fold = false; return true;
    case 'N': options.build.with_null = true; return true;
    case 'n': options.build.with_null = false; return true;
    case 'o': options.build.keep_root = true; return true;
    case 'p': options.build.copy_rights = false; return true;
    case 'r': options.build.on_duplicate = BuildOptions::OnDuplicate::Replace; return true;
    case 'w': options.build.on_duplicate = BuildOptions::OnDuplicate::Ignore; return true;
    case 'u': case 'U': case 'v': return true;
    }
    return false;
}

std::optional<Options> parse(int argc, char** argv)
{
    Options options;
    for (int letter = 0; (letter = getopt(argc, argv, "c:d:finNopq:rsuUvw")) != -1;) {
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
    if (options.names.empty())
        return std::nullopt;
    return options;
}

int run(TableCommand& command, const Options& options)
{
    const bool from_input = options.key == "-";
    if (options.mode == 'q' && from_input)
        return command.query_all(options.names, TableCommand::lines_of_stdin(), options.build.fold, false);
    if (options.mode == 'q')
        return command.query(options.names, options.key, options.build.fold, false);
    const auto keys =
        options.mode == 'd' && from_input ? TableCommand::lines_of_stdin() : std::vector<std::string>(1, options.key);
    int status = options.mode == 'd' ? 1 : 0; // removed from any table: success
    for (const std::string& name : options.names) {
        if (options.mode == 'd')
            status = command.remove(name, keys, options.build) && status;
        else if (options.mode == 'i')
            status = command.add(name, table::parse_alias_line, options.build) || status;
        else if (options.mode == 's')
            status = command.list(name) || status;
        else
            status = command.build(name, table::parse_alias_line, options.build) || status;
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
    const auto command = TableCommand::start("postalias", options->directory);
    return command ? run(*command, *options) : 1;
}
