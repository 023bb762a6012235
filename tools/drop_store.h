// A new file in maildrop/: written under its name without the execute bit, which marks it complete and
// durable once it is set. What is not completed is removed, or swept up by pickup when we were killed.
//
// The directory belongs to mail_owner, has the group setgid_group and mode 1730: members of the group,
// which are nobody but the set-gid postdrop, may add files and not list them; nobody else gets past the
// directory. So a file may be readable for all by its own mode, which pickup needs as it is neither the
// owner nor of the group. An instance of an ordinary user needs none of that: mode 0700. (When root mails
// through such an instance, the file is given to that user.)
#pragma once

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

#include <string>
#include <string_view>
#include <sys/types.h>

namespace posthouse::tools {

class DropFile {
public:
    // In `directory`, which is trusted (it comes from main.cf).
    static Result<DropFile> create(const std::string& directory);
    DropFile(DropFile&&) noexcept = default;
    DropFile& operator=(DropFile&&) = delete;
    ~DropFile(); // removes it when complete() did not succeed

    Result<void> write(std::string_view bytes);
    // Durable on success: the sync of a new file takes its directory entry with it on Linux' file systems,
    // and the directory itself cannot be opened here, to be synced as well.
    Result<void> complete();

private:
    DropFile(UniqueFd directory, UniqueFd file, std::string name, mode_t mode);
    UniqueFd directory_;
    UniqueFd file_;
    std::string name_;
    mode_t mode_;
};

// Free bytes on the file system of `path` for those who are not root; a huge number when unknown.
uint64_t free_bytes(const std::string& path);

// Any connection to public/pickup makes it look. Silent when nothing runs: pickup will find the file.
void wake_pickup(const std::string& queue_directory);

} // namespace posthouse::tools
