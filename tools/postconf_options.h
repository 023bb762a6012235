// The command line of postconf, and what its parts share.
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"
#include "tools/config_edit.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::postconf {

enum class Subject : unsigned char { Parameters, Services, ServiceFields, ServiceOptions, TableTypes, LockMethods };

enum Class : unsigned char { Builtin = 1, OfService = 2, User = 4, AllClasses = 7 };

struct Options {
    std::string directory;
    Subject subject = Subject::Parameters;
    unsigned classes = AllClasses;
    bool defaults = false, only_set = false, expand = false, fold = false, quiet = false;
    bool with_name = true, with_value = true;
    std::optional<tools::EditAction> edit;
    config::Overrides overrides;
    std::vector<std::string> names;
};

// Nothing for a wrong command line, of which a line on stderr tells unless getopt has.
std::optional<Options> parse(int argc, char** argv);

// Each gives the exit status.
int show_parameters(const Options& options);
int show_services(const Options& options); // Subject::Services, ServiceFields, ServiceOptions
int run_edit(const Options& options);

int fail(const Error& error);
void warn(const std::string& text);

} // namespace posthouse::postconf
