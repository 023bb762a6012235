// The directories that an instance needs: made by master at its start, compared by `posthouse check`.
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace posthouse::service {

struct Directory {
    std::string path;
    uid_t uid;
    gid_t gid;
    mode_t mode;
};

// queue_directory and data_directory, which must be whole paths: programs have working directories of their own.
std::vector<config::Fault> check_paths(const config::Config& config);

// As they have to be. Owners are only meant when root runs the instance; else all belong to its user.
Result<std::vector<Directory>> directories(const config::Config& config);

// Makes those that are missing, with owner and mode. What is there stays as it is.
Result<void> make_directories(const config::Config& config);

// mail_owner and setgid_group, for an instance of root: what is wrong with them, all at once.
std::vector<config::Fault> check_accounts(const config::Config& config);

// A data_directory that belongs to somebody else and holds his files: what to tell. It is never given to mail_owner.
std::optional<std::string> foreign_data(const config::Config& config);

// What is not as it has to be: one sentence for each, with the command that mends it.
Result<std::vector<std::string>> check_directories(const config::Config& config);

} // namespace posthouse::service
