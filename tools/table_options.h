// The command line that postmap and postalias share, and carrying it out.
#pragma once

#include "tools/table_command.h"

#include <optional>
#include <string>
#include <vector>

namespace posthouse::tools {

struct TableOptions {
    std::string directory;
    char mode = 0; // d i q s; 0: build
    std::string key;
    BuildOptions build;
    bool header = false; // -h, -b: parts of a message on standard input are the keys
    bool body = false;
    std::vector<std::string> names;
};

// `letters` is getopt's list of what the command takes. Nothing for a wrong command line.
std::optional<TableOptions> parse_table_options(int argc, char** argv, const char* letters);

// What "-q -" asks for, of the lines of standard input and the flags -h and -b.
using KeysOfInput = std::vector<std::string> (*)(std::vector<std::string> lines, bool header, bool body);
int run_table_options(TableCommand& command, const TableOptions& options, const RecordParser& parse,
                      KeysOfInput from_input);

// A whole main(): --help, the command line, main.cf.
int table_main(int argc, char** argv, const char* program, const char* usage, const char* letters,
               const RecordParser& parse, KeysOfInput from_input);

} // namespace posthouse::tools
