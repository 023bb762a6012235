// Starting children: see child.h.
#include "master/child.h"

#include "lib/base/cat.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace posthouse::master {

namespace {

std::vector<char*> pointers(const std::vector<std::string>& words)
{
    std::vector<char*> all;
    for (const std::string& word : words)
        all.push_back(const_cast<char*>(word.c_str()));
    all.push_back(nullptr);
    return all;
}

// In the child, between fork and exec: descriptors first_listener_fd... are the listeners, the status socket and
// the memory of the service; everything above is closed.
[[noreturn]] void become_program(const ChildCommand& command, int status, char** arguments, char** environment)
{
    // Copies above all wanted numbers first, so that none is overwritten before it is used.
    std::vector<int> wanted = command.listeners;
    wanted.push_back(status);
    if (command.shared_memory >= 0)
        wanted.push_back(command.shared_memory);
    const int end = service::first_listener_fd + static_cast<int>(wanted.size());
    for (int& fd : wanted)
        fd = ::fcntl(fd, F_DUPFD, end);
    for (size_t i = 0; i < wanted.size(); ++i)
        ::dup2(wanted[i], service::first_listener_fd + static_cast<int>(i));
    ::syscall(SYS_close_range, static_cast<unsigned>(end), ~0U, 0U);
    for (int number = 1; number < NSIG; ++number)
        ::signal(number, SIG_DFL);
    // A reload waits until the program can hear of it (service::run); the others may end it from here on.
    sigset_t held;
    sigemptyset(&held);
    sigaddset(&held, SIGHUP);
    ::sigprocmask(SIG_SETMASK, &held, nullptr);
    ::execve(command.path.c_str(), arguments, environment);
    const std::string text = cat("master: cannot run ", Error::system(command.path, errno).text(), '\n');
    (void)!::write(STDERR_FILENO, text.data(), text.size());
    ::_exit(127);
}

} // namespace

Result<Child> Child::start(const ChildCommand& command)
{
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return Error::system("status socket", errno);
    UniqueFd ours(pair[0]);
    const UniqueFd theirs(pair[1]);
    // Made before fork: after it, only what is safe in a signal handler is safe.
    const std::vector<char*> arguments = pointers(command.arguments);
    const std::vector<char*> environment = pointers(command.environment);
    // A signal that is meant for the child must not find master's handlers there: become_program() lets it in.
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = ::fork();
    const int fault = errno;
    if (pid == 0)
        become_program(command, theirs.get(), const_cast<char**>(arguments.data()), const_cast<char**>(environment.data()));
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0)
        return Error::system("fork", fault);
    return Child(pid, std::move(ours));
}

void Child::say(service::MasterSays what) const
{
    const char message = static_cast<char>(what);
    (void)!::send(status_.get(), &message, 1, MSG_DONTWAIT | MSG_NOSIGNAL); // one that is gone is noticed by SIGCHLD
}

bool Child::hear()
{
    while (true) {
        char message;
        const ssize_t got = ::recv(status_.get(), &message, 1, MSG_DONTWAIT);
        if (got < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        if (got == 0)
            return false;
        was_available = true;
        if (state == State::Leaving)
            continue;
        switch (static_cast<service::ChildSays>(message)) {
        case service::ChildSays::Available: state = State::Available; break;
        case service::ChildSays::Loaded: state = State::Loaded; break;
        case service::ChildSays::Busy: state = State::Busy; break;
        case service::ChildSays::Retiring: state = State::Leaving; break;
        }
    }
}

} // namespace posthouse::master
