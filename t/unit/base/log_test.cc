// The log in a file: one whole line for each event, with the right process.
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/log/log.h"
#include "t/support/catch.h"

#include <cstdlib>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace posthouse;

TEST_CASE("a line bears the number of the process that wrote it, in a forked child too")
{
    char path[] = "/tmp/posthouse-log-XXXXXX";
    ::close(::mkstemp(path));
    log::Sink sink;
    sink.to = log::Sink::To::File;
    sink.path = path;
    sink.syslog_name = "posthouse";
    sink.program = "test";
    REQUIRE(log::open(sink));
    log::info("from the parent");
    const pid_t child = ::fork();
    if (child == 0) {
        log::info("from the child");
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    const auto text = read_file(path, 65536);
    ::unlink(path);
    REQUIRE(log::open(log::Sink())); // back to standard error
    REQUIRE(text);
    CHECK(text->find(cat("posthouse/test[", ::getpid(), "]: from the parent\n")) != std::string::npos);
    CHECK(text->find(cat("posthouse/test[", child, "]: from the child\n")) != std::string::npos);
}

TEST_CASE("a line holds no control characters and nothing but UTF-8, whatever a peer said")
{
    CHECK(log::sanitise("a\r\nb\x7f") == "a??b?");
    CHECK(log::sanitise("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80") == "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
    CHECK(log::sanitise("\xff \xc3") == "? ?");
    CHECK(log::sanitise("\xe2\x82z \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80") == "??z ?? ??? ????");
    CHECK(log::sanitise("ab\xc3\xa4", 3) == "ab?...");
}

TEST_CASE("a log file is made with the permissions of its sink, whatever the umask, and one that is there keeps its own")
{
    char directory[] = "/tmp/posthouse-log-XXXXXX";
    REQUIRE(::mkdtemp(directory));
    const std::string path = cat(directory, "/log");
    const auto mode_under = [&](unsigned permissions) {
        log::Sink sink;
        sink.to = log::Sink::To::File;
        sink.path = path;
        sink.permissions = permissions;
        const mode_t before = ::umask(077);
        REQUIRE(log::open(sink));
        ::umask(before);
        struct stat status;
        REQUIRE(::stat(path.c_str(), &status) == 0);
        return status.st_mode & 0777;
    };
    CHECK(mode_under(0644) == 0644);
    CHECK(mode_under(0600) == 0644);
    ::unlink(path.c_str());
    CHECK(mode_under(0600) == 0600);
    ::unlink(path.c_str());
    ::rmdir(directory);
    REQUIRE(log::open(log::Sink()));
}
