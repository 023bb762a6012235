// Tells when it is worth trying again to open a table whose file was missing, unreadable or faulty. A
// process that serves is in a chroot and a sandbox where it cannot look for the file; so the kernel is
// asked before, through an inotify descriptor, which gives no access to any directory.
#pragma once

#include "lib/base/time.h"
#include "lib/base/unique_fd.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace posthouse::table {

class ArrivalWatch {
public:
    ArrivalWatch() = default; // of nothing: never due
    // For a failed attempt to open `path`, a file; what a symbolic link at `path` names is watched as well.
    explicit ArrivalWatch(const std::string& path);
    ArrivalWatch(ArrivalWatch&&) = default;
    ArrivalWatch& operator=(ArrivalWatch&&) = default;

    // Once the file appeared, was written, or had its owner or mode changed. Stays true. Where the kernel
    // has no watch to give, true after a minute. Never blocks; one read(2).
    bool due() const;

private:
    bool add(const std::string& path, int links);
    bool concerns_us(int watch, std::string_view name) const;

    UniqueFd inotify_;
    std::vector<std::pair<int, std::string>> awaited_; // watch descriptor of a directory, name in it
    Instant blind_retry_;                              // without inotify
    bool active_ = false;
    mutable bool due_ = false;
};

} // namespace posthouse::table
