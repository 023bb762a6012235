// postmap's and postalias' command line: see table_options.h.
#include "tools/table_options.h"

#include <cstdio>
#include <cstring>
#include <sysexits.h>
#include <unistd.h>

namespace posthouse::tools {

namespace {

bool take_flag(int letter, TableOptions& options)
{
    switch (letter) {
    case 'b': options.body = true; return true;
    case 'F': options.build.values_are_files = true; return true;
    case 'f': options.build.fold = false; return true;
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

int query(TableCommand& command, const TableOptions& options, KeysOfInput from_input)
{
    const BuildOptions& build = options.build;
    if (options.key != "-")
        return command.query(options.names, options.key, build.fold, build.values_are_files);
    const auto keys = from_input(TableCommand::lines_of_stdin(), options.header, options.body);
    return command.query_all(options.names, keys, build.fold, build.values_are_files);
}

// Removed from any table: success.
int remove(TableCommand& command, const TableOptions& options)
{
    const auto keys =
        options.key == "-" ? TableCommand::lines_of_stdin() : std::vector<std::string>(1, options.key);
    int status = 1;
    for (const std::string& name : options.names)
        status = command.remove(name, keys, options.build) && status;
    return status;
}

} // namespace

std::optional<TableOptions> parse_table_options(int argc, char** argv, const char* letters)
{
    TableOptions options;
    for (int letter = 0; (letter = getopt(argc, argv, letters)) != -1;) {
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

int run_table_options(TableCommand& command, const TableOptions& options, const RecordParser& parse,
                      KeysOfInput from_input)
{
    if (options.mode == 'q')
        return query(command, options, from_input);
    if (options.mode == 'd')
        return remove(command, options);
    int status = 0;
    for (const std::string& name : options.names) {
        int one = 0;
        if (options.mode == 'i')
            one = command.add(name, parse, options.build);
        else if (options.mode == 's')
            one = command.list(name);
        else
            one = command.build(name, parse, options.build);
        status = status || one;
    }
    return status;
}

int table_main(int argc, char** argv, const char* program, const char* usage, const char* letters,
               const RecordParser& parse, KeysOfInput from_input)
{
    if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
        std::fputs(usage, stdout);
        return EX_OK;
    }
    const auto options = parse_table_options(argc, argv, letters);
    if (!options) {
        std::fputs(usage, stderr);
        return EX_USAGE;
    }
    const auto command = TableCommand::start(program, options->directory);
    return command ? run_table_options(*command, *options, parse, from_input) : 1;
}

} // namespace posthouse::tools
