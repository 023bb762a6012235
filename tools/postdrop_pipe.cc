// sendmail's pipe to the set-gid postdrop: see postdrop_pipe.h.
#include "tools/postdrop_pipe.h"

#include "lib/base/cat.h"
#include "lib/base/file.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>
#include <utility>

namespace posthouse::tools {

PostdropPipe::PostdropPipe(pid_t child, UniqueFd input) : child_(child), input_(std::move(input)) {}
PostdropPipe::PostdropPipe(PostdropPipe&& other) noexcept
    : child_(std::exchange(other.child_, -1)), input_(std::move(other.input_))
{
}

PostdropPipe::~PostdropPipe()
{
    if (child_ > 0)
        (void)finish();
}

Result<PostdropPipe> PostdropPipe::start(const config::Config& config)
{
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return Error::system("pipe", errno);
    const UniqueFd output(ends[0]);
    UniqueFd input(ends[1]);
    std::string path = cat(config.text("command_directory"), "/postdrop");
    std::string directory = config.directory();
    char name[] = "postdrop", option_r[] = "-r", option_c[] = "-c";
    char* const argv[] = {name, option_r, option_c, directory.data(), nullptr};

    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, output.get(), STDIN_FILENO);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t defaults;
    ::sigemptyset(&defaults);
    ::sigaddset(&defaults, SIGPIPE);
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    // Inherited as ignored from a caller (swaks --pipe), it would keep the exit status from us: a message that is
    // in the queue would be refused.
    ::signal(SIGCHLD, SIG_DFL);
    pid_t child = -1;
    const int failed = ::posix_spawn(&child, path.c_str(), &actions, &attributes, argv, environ);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed != 0)
        return Error::system(cat("execute ", path), failed);
    return PostdropPipe(child, std::move(input));
}

bool PostdropPipe::write(std::string_view bytes)
{
    return static_cast<bool>(write_all(input_.get(), bytes));
}

int PostdropPipe::finish()
{
    input_.reset();
    int status = 0;
    const pid_t child = std::exchange(child_, -1);
    while (::waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return EX_OSERR;
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == 127 ? EX_OSFILE : WEXITSTATUS(status);
    return EX_TEMPFAIL;
}

} // namespace posthouse::tools
