// Landlock (files, TCP, signals) and a seccomp filter, as a Spec's Sandbox says. Each is left out when the kernel or
// the build lacks it: master and `posthouse check` say so. For good, and inherited by threads made later.
#pragma once

#include "lib/base/result.h"
#include "lib/service/service.h"

#include <string>
#include <vector>

namespace posthouse::service {

// A path that stays open to the program, as it is named inside the chroot.
class AllowedPath {
public:
    AllowedPath() = default;
    AllowedPath(std::string its_path, bool may_write) : path(std::move(its_path)), write(may_write) {}
    std::string path;
    bool write = false;
};

// What every program here has to do without, a sentence each; empty when nothing is missing.
std::vector<std::string> missing_confinement();

// What was put in force, for a debug line: "landlock 6, seccomp", or "none". Fails when something is there and does
// not work: better no service than an open one.
Result<std::string> enter_sandbox(const Sandbox& sandbox, const std::vector<AllowedPath>& paths);

} // namespace posthouse::service
