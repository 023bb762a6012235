// What a confined process can still do, tried in a child of the test.
#include "lib/service/sandbox.h"
#include "lib/service/command_line.h"
#include "t/support/catch.h"

#include <arpa/inet.h>
#include <cerrno>
#include <fcntl.h>
#include <functional>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace posthouse;

namespace {

// The exit status of a child that enters the sandbox and then does it: 0 when `act` returned true.
int in_child(const service::Sandbox& sandbox, const std::vector<service::AllowedPath>& paths,
             const std::function<bool()>& act)
{
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        auto entered = service::enter_sandbox(sandbox, paths);
        if (!entered)
            _exit(100);
        if (entered->find("no landlock") != std::string::npos)
            _exit(77);
        _exit(act() ? 0 : 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 200 + WTERMSIG(status);
}

// Without Landlock in the kernel there is nothing to see: such a result counts as passed.
bool holds(int status) { return status == 0 || status == 77; }

bool cannot_open(const char* path, int flags)
{
    const int fd = open(path, flags, 0600);
    return fd < 0 && (errno == EACCES || errno == EPERM);
}

} // namespace

TEST_CASE("a confined program cannot open a file")
{
    CHECK(holds(in_child(service::Sandbox(), {}, [] { return cannot_open("/etc/passwd", O_RDONLY); })));
    CHECK(holds(in_child(service::Sandbox(), {}, [] { return cannot_open("/tmp/posthouse-sandbox", O_WRONLY | O_CREAT); })));
}

TEST_CASE("a confined program can open what its rights name, and no more than they say")
{
    char folder[] = "/tmp/posthouse-sandbox-XXXXXX";
    REQUIRE(mkdtemp(folder));
    const std::string file = std::string(folder) + "/file";
    close(open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    CHECK(holds(in_child(service::Sandbox(), {service::AllowedPath(folder, false)}, [&] {
        return open(file.c_str(), O_RDONLY) >= 0 && cannot_open(file.c_str(), O_WRONLY)
            && cannot_open("/etc/passwd", O_RDONLY);
    })));
    CHECK(holds(in_child(service::Sandbox(), {service::AllowedPath(folder, true)}, [&] {
        return open(file.c_str(), O_WRONLY) >= 0 && cannot_open("/etc/passwd", O_RDONLY);
    })));
    unlink(file.c_str());
    rmdir(folder);
}

#ifndef __SANITIZE_ADDRESS__ // the system call filter is left out of such a build
TEST_CASE("a confined program cannot run another one, nor become somebody")
{
    CHECK(holds(in_child(service::Sandbox(), {}, [] {
        return execl("/bin/true", "true", nullptr) == -1 && errno == EPERM;
    })));
    CHECK(holds(in_child(service::Sandbox(), {}, [] { return fork() == -1 && errno == EPERM; })));
    CHECK(holds(in_child(service::Sandbox(), {}, [] { return setuid(getuid()) == -1 && errno == EPERM; })));
}

TEST_CASE("a program without network rights cannot make an internet socket")
{
    CHECK(holds(in_child(service::Sandbox(), {}, [] { return socket(AF_INET, SOCK_STREAM, 0) == -1; })));
    CHECK(holds(in_child(service::Sandbox(), {}, [] { return socket(AF_UNIX, SOCK_STREAM, 0) >= 0; })));
    service::Sandbox client;
    client.tcp_connect = true;
    CHECK(holds(in_child(client, {}, [] { return socket(AF_INET, SOCK_STREAM, 0) >= 0; })));
    CHECK(holds(in_child(client, {}, [] { return socket(AF_PACKET, SOCK_RAW, 0) == -1; })));
}
#endif

TEST_CASE("the command line that master gives is read whole")
{
    auto line = service::parse_command_line(
        {"-c", "/etc/posthouse", "-n", "submission", "-z", "-s", "2", "-o", "syslog_name=posthouse/submission", "--", "x", "-y"});
    REQUIRE(line);
    CHECK(line->directory == "/etc/posthouse");
    CHECK(line->service_name == "submission");
    CHECK(line->chroot);
    CHECK(line->listeners == 2);
    CHECK(line->overrides.pairs().size() == 1);
    CHECK(line->arguments == std::vector<std::string>{"x", "-y"});
    CHECK_FALSE(service::parse_command_line({"-s", "many"}));
}
