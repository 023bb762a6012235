// FileCourier: brings a process that has given up its privileges, and sees no files, the contents of a fixed list of files
// whenever they were replaced: certificates and their keys.
//
// It is a process of its own, forked before the privileges drop. It reads those files and nothing else, and sends them
// through a socket from which it never reads: who takes over the process that it serves has no word to say to it. As root
// it keeps one capability, to read what others may not; it may open no file for writing, start nothing, reach no network.
// It ends when the socket's other end is closed.
#pragma once

#include "lib/base/file_set.h"
#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "lib/event/loop.h"
#include "lib/event/task.h"

#include <functional>
#include <string>
#include <vector>

namespace posthouse::service {

class FileCourier {
public:
    // `known`: the files' signature as it was before the caller read them; what has changed since is sent. To be called
    // before there are threads.
    static Result<UniqueFd> start(std::vector<std::string> files, FileSet::Signature known);

    // In the process that is served: calls `arrived` with each set of files, until the courier is gone, which is the
    // Error that it ends with. All files are in each set, those that cannot be read with the reason.
    static Task<Error> receive(Loop& loop, UniqueFd from, std::function<void(const FileSet&)> arrived);
};

} // namespace posthouse::service
