// sendmail's way to postdrop: the set-gid program at the other end of a pipe.
#pragma once

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "lib/config/config.h"

#include <string_view>
#include <sys/types.h>

namespace posthouse::tools {

class PostdropPipe {
public:
    static Result<PostdropPipe> start(const config::Config& config);
    PostdropPipe(PostdropPipe&& other) noexcept;
    PostdropPipe& operator=(PostdropPipe&&) = delete;
    ~PostdropPipe(); // without the end mark, postdrop stores nothing

    // False when postdrop has stopped reading: finish() then says why. SIGPIPE must be ignored.
    bool write(std::string_view bytes);
    // Its exit status, of sysexits.h; it has told the reason on standard error.
    int finish();

private:
    PostdropPipe(pid_t child, UniqueFd input);
    pid_t child_;
    UniqueFd input_;
};

} // namespace posthouse::tools
