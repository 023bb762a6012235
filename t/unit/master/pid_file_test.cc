// One master for each queue.
#include "master/pid_file.h"
#include "t/unit/master/fixture.h"

using namespace posthouse;

TEST_CASE("a queue has one master, and the second is told the pid of the first")
{
    const test::Folder folder;
    std::filesystem::create_directory(folder.file("pid"));
    auto first = master::lock_pid_file(folder.path);
    REQUIRE(first);
    REQUIRE(master::write_pid(*first));
    auto second = master::lock_pid_file(folder.path);
    REQUIRE_FALSE(second);
    CHECK(second.error().text().find("pid " + std::to_string(getpid())) != std::string::npos);
}

TEST_CASE("what a crashed master leaves behind is no obstacle to the next")
{
    const test::Folder folder;
    std::filesystem::create_directory(folder.file("pid"));
    {
        auto first = master::lock_pid_file(folder.path);
        REQUIRE(first);
        REQUIRE(master::write_pid(*first));
    }
    auto second = master::lock_pid_file(folder.path);
    REQUIRE(second);
    REQUIRE(master::write_pid(*second));
    CHECK(folder.read("pid/master.pid") == std::to_string(getpid()) + "\n");
}
