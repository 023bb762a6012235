// Giving up what a daemon does not need: root, groups, the file system outside the queue, resources.
#pragma once

#include "lib/base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <sys/types.h>

namespace posthouse::service {

class Identity {
public:
    Identity() = default;
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
    std::optional<gid_t> more; // a second group to keep
};

// Looks the mail owner up (before chroot). Root is refused.
Result<Identity> find_mail_owner(const std::string& name);

// Of a group; Config when there is none, or it is that of root.
Result<gid_t> find_group(const std::string& name);

// All groups, gid and uid, for good; checks that root cannot be had back.
Result<void> become(const Identity& identity);

// chroot and chdir.
Result<void> enter_root(const std::string& directory);

// Open files up to the hard limit, core size, umask, no-new-privileges, not dumpable.
void limit_process(size_t core_bytes, bool no_new_privileges);

// For a process that was forked to do one thing as root: of its powers it keeps only these, a bit (1 << CAP_...) each.
// Without root there is nothing to do. False when it cannot be done.
bool keep_capabilities(uint32_t capabilities);

// For the same: nothing but `fd` and the standard descriptors comes along. Returns its new number.
int close_all_but(int fd);

size_t open_files_limit();

} // namespace posthouse::service
