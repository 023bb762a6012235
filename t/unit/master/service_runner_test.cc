// When a service's processes are started, with shell scripts in place of programs: they say 'A'
// (available) on the status socket, which is descriptor 3 when there is no listener and 4 with one.
#include "lib/net/address.h"
#include "lib/net/socket.h"
#include "master/service_runner.h"
#include "t/unit/master/fixture.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace posthouse;

namespace {

class Supervised {
public:
    // `commands`: of the script that is the program. A wake-up time starts it at once.
    Supervised(const std::string& commands, Duration throttle, bool by_connection = false)
    {
        folder.script("program", commands);
        service.name = service.program = "program";
        service.command = {"program"};
        service.wakeup_seconds = by_connection ? 0 : 1000;
        settings.config_directory = "/nowhere";
        settings.daemon_directory = folder.path;
        settings.environment = {"PATH=/usr/bin:/bin"};
        settings.throttle_time = throttle;
        std::vector<UniqueFd> listeners;
        if (by_connection) {
            auto socket = net::listen_unix(folder.file("socket"), 0666, 10);
            REQUIRE(socket);
            listeners.push_back(std::move(*socket));
        }
        loop.on_signal(SIGCHLD, [this] { reap(); });
        runner = std::make_unique<master::ServiceRunner>(loop, service, settings, std::move(listeners));
    }
    ~Supervised()
    {
        runner->close();
        runner->signal_all(SIGKILL);
        run_until([this] { return runner->child_count() == 0; });
    }

    void run_for(Duration time)
    {
        const Instant end = Instant::now() + time;
        while (Instant::now() < end)
            loop.run_once(Duration::milliseconds(10));
    }
    template <class Condition>
    bool run_until(Condition condition)
    {
        const Instant end = Instant::now() + Duration::seconds(20);
        while (!condition() && Instant::now() < end)
            loop.run_once(Duration::milliseconds(10));
        return condition();
    }
    UniqueFd connect() const
    {
        sockaddr_storage address;
        const socklen_t length = net::SocketAddress::unix_path(folder.file("socket")).to_sockaddr(address);
        UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
        return client;
    }

    test::Folder folder;
    Loop loop;
    config::Service service;
    master::RunSettings settings;
    std::unique_ptr<master::ServiceRunner> runner;

private:
    void reap()
    {
        int status = 0;
        for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG))
            runner->child_ended(pid, status);
    }
};

} // namespace

TEST_CASE("a program that fails before it is up is left alone for the throttle time")
{
    Supervised post("echo start >>log; exit 1", Duration::seconds(60));
    REQUIRE(post.run_until([&] { return post.folder.lines("log") == 1 && post.runner->child_count() == 0; }));
    post.run_for(Duration::milliseconds(1500));
    CHECK(post.folder.lines("log") == 1);
    CHECK(post.runner->settled());
}

TEST_CASE("a program that leaves without having been up is no better than one that fails")
{
    Supervised post("echo start >>log; exit 0", Duration::seconds(60));
    REQUIRE(post.run_until([&] { return post.folder.lines("log") == 1 && post.runner->child_count() == 0; }));
    post.run_for(Duration::milliseconds(500));
    CHECK(post.folder.lines("log") == 1);
}

TEST_CASE("it is tried again when the throttle time is over")
{
    Supervised post("echo start >>log; exit 1", Duration::milliseconds(300));
    CHECK(post.run_until([&] { return post.folder.lines("log") >= 3; }));
}

TEST_CASE("a program that was up is started again within a second of a crash, but not for ever")
{
    Supervised post("echo start >>log; printf A >&3; kill -9 $$", Duration::seconds(60));
    const Instant begin = Instant::now();
    REQUIRE(post.run_until([&] { return post.folder.lines("log") >= 2; }));
    CHECK(Instant::now() - begin < Duration::seconds(1));
    post.run_for(Duration::milliseconds(2500));
    CHECK(post.folder.lines("log") == 3);
}

TEST_CASE("a program is started when a connection waits, once, and not before")
{
    Supervised post("echo start >>log; printf A >&4; exec sleep 60", Duration::seconds(60), true);
    post.run_for(Duration::milliseconds(200));
    CHECK(post.folder.lines("log") == 0);
    const UniqueFd client = post.connect();
    REQUIRE(post.run_until([&] { return post.folder.lines("log") == 1; }));
    post.run_for(Duration::milliseconds(300));
    CHECK(post.folder.lines("log") == 1); // the one that is available will take it
}

TEST_CASE("a busy program gets company when another connection waits")
{
    Supervised post("echo start >>log; printf A >&4; printf B >&4; exec sleep 60", Duration::seconds(60), true);
    const UniqueFd client = post.connect();
    CHECK(post.run_until([&] { return post.folder.lines("log") >= 2; }));
}

TEST_CASE("maxproc holds however many connections wait")
{
    Supervised post("echo start >>log; printf B >&4; exec sleep 60", Duration::seconds(60), true);
    config::Service two = post.service;
    two.process_limit = 2;
    post.runner->replace(two, post.settings);
    const UniqueFd client = post.connect();
    REQUIRE(post.run_until([&] { return post.folder.lines("log") == 2; }));
    post.run_for(Duration::milliseconds(300));
    CHECK(post.folder.lines("log") == 2);
}

TEST_CASE("a reload brings a new process while the old one finishes")
{
    Supervised post("echo start >>log; printf A >&4; exec sleep 60", Duration::seconds(60), true);
    config::Service one = post.service;
    one.process_limit = 1;
    post.runner->replace(one, post.settings);
    const UniqueFd client = post.connect();
    REQUIRE(post.run_until([&] { return post.folder.lines("log") == 1; }));
    post.run_for(Duration::milliseconds(100));
    post.runner->replace(one, post.settings);
    CHECK(post.run_until([&] { return post.folder.lines("log") == 2; }));
    CHECK(post.runner->child_count() == 2);
}

TEST_CASE("a program inherits standard descriptors, its sockets and the memory of its service, nothing else")
{
    REQUIRE(::dup2(STDERR_FILENO, 77) == 77); // not close-on-exec, as a library might leave one
    Supervised post(
        "for n in 0 1 2 3 4 5 6 7 8 9 77; do [ -e /proc/$$/fd/$n ] && echo $n; done >fds; printf A >&4; "
        "echo >>log; exec sleep 60",
        Duration::seconds(60), true);
    const UniqueFd client = post.connect();
    REQUIRE(post.run_until([&] { return post.folder.lines("log") == 1; }));
    ::close(77);
    CHECK(post.folder.read("fds") == "0\n1\n2\n3\n4\n5\n");
}

TEST_CASE("a program gets the environment that import_environment names, and a safe PATH")
{
    ::setenv("POSTHOUSE_TEST_SECRET", "1", 1);
    ::setenv("POSTHOUSE_TEST_WANTED", "2", 1);
    std::vector<config::Fault> faults;
    auto config = config::Config::parse("import_environment = POSTHOUSE_TEST_WANTED LANG=C\n", config::Overrides(), faults);
    REQUIRE(config);
    const std::vector<std::string> expected = {"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "POSTHOUSE_TEST_WANTED=2", "LANG=C"};
    CHECK(master::RunSettings::from_config(**config).environment == expected);
}
