// One process of a service, from fork on.
#include "master/child.h"

#include "t/support/catch.h"

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

using namespace posthouse;

namespace {

// As master has one. What a child should have got must not end here.
void ignore_word(int) {}

master::Child start_sleep()
{
    master::ChildCommand sleep;
    sleep.path = "/bin/sleep";
    sleep.arguments = {"sleep", "60"};
    auto child = master::Child::start(sleep);
    REQUIRE(child);
    return std::move(*child);
}

// How it ended; 0 when it did not.
int signal_that_ended(pid_t pid)
{
    int status = 0;
    for (int turn = 0; turn < 200; ++turn) {
        if (::waitpid(pid, &status, WNOHANG) == pid)
            return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        ::usleep(10000);
    }
    ::kill(pid, SIGKILL);
    ::waitpid(pid, &status, 0);
    return 0;
}

} // namespace

TEST_CASE("a child that is told to end before it has become its program ends")
{
    auto* const before = std::signal(SIGTERM, ignore_word);
    for (int turn = 0; turn < 20; ++turn) {
        auto child = start_sleep();
        ::kill(child.pid(), SIGTERM);
        REQUIRE(signal_that_ended(child.pid()) == SIGTERM);
    }
    std::signal(SIGTERM, before);
    sigset_t blocked;
    REQUIRE(::sigprocmask(SIG_SETMASK, nullptr, &blocked) == 0);
    CHECK(sigismember(&blocked, SIGTERM) == 0);
}

TEST_CASE("a child that is told to reload before it has become its program goes on")
{
    auto* const before = std::signal(SIGHUP, ignore_word);
    for (int turn = 0; turn < 20; ++turn) {
        auto child = start_sleep();
        ::kill(child.pid(), SIGHUP);
        ::usleep(10000);
        int status = 0;
        CHECK(::waitpid(child.pid(), &status, WNOHANG) == 0);
        ::kill(child.pid(), SIGTERM);
        REQUIRE(signal_that_ended(child.pid()) == SIGTERM);
    }
    std::signal(SIGHUP, before);
}
