// Counts of clients that processes share: real processes, of which some are killed or stopped at any moment.
#include "t/support/catch.h"

#include "lib/base/cat.h"
#include "lib/base/unique_fd.h"
#include "smtpd/counter_table.h"

#include <csignal>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::smtpd;
using Event = CounterTable::Event;

namespace {

constexpr Instant now = Instant::from_ns(1'000'000'000);
constexpr Duration unit = Duration::seconds(60);

UniqueFd memory()
{
    return UniqueFd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

// A process that does `work` with a table of its own, says so, and waits to be killed.
class Other {
public:
    template <class Work>
    Other(int fd, Work work)
    {
        int ready[2];
        REQUIRE(::pipe(ready) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            auto table = CounterTable::attach(fd);
            work(*table);
            (void)!::write(ready[1], "x", 1);
            ::pause();
            ::_exit(0);
        }
        char byte;
        REQUIRE(::read(ready[0], &byte, 1) == 1);
        ::close(ready[0]);
        ::close(ready[1]);
    }
    ~Other() { kill(); }
    Other(const Other&) = delete;
    Other& operator=(const Other&) = delete;
    void kill()
    {
        if (pid_ <= 0)
            return;
        ::kill(pid_, SIGKILL);
        int status;
        ::waitpid(pid_, &status, 0);
        pid_ = 0;
    }

private:
    pid_t pid_;
};

} // namespace

TEST_CASE("a limit holds for all processes together: each sees the connections and events of the others")
{
    const UniqueFd fd = memory();
    auto table = CounterTable::attach(fd.get());
    REQUIRE(table->shared());
    const auto own = table->enter("a", now, unit);
    REQUIRE(own);
    const Other other(fd.get(), [](CounterTable& theirs) {
        const auto place = theirs.enter("a", now, unit);
        theirs.add(*place, Event::Message, now, unit);
        theirs.add_failure(*place, now, unit);
    });
    CHECK(table->connections(*own) == 2);
    CHECK(table->add(*own, Event::Message, now, unit) == 2);
    CHECK(table->count(*own, Event::Connection, now, unit) == 2);
    CHECK(table->add_failure(*own, now, unit) == 2);
    CHECK(table->connections(*table->enter("b", now, unit)) == 1);
}

TEST_CASE("the connections of a killed process are not counted for longer than it takes to look, what it did is")
{
    const UniqueFd fd = memory();
    auto table = CounterTable::attach(fd.get());
    const auto own = table->enter("a", now, unit);
    {
        Other other(fd.get(), [](CounterTable& theirs) {
            for (int i = 0; i < 10; ++i)
                theirs.enter("a", now, unit);
        });
        CHECK(table->connections(*own) == 11);
        table->forget_dead(now);
        CHECK(table->connections(*own) == 11); // it lives
    }
    table->forget_dead(now + Duration::seconds(2));
    CHECK(table->connections(*own) == 1);
    CHECK(table->count(*own, Event::Connection, now, unit) == 11);
}

TEST_CASE("a process that starts clears up after those that were killed")
{
    const UniqueFd fd = memory();
    for (int round = 0; round < 3; ++round)
        Other(fd.get(), [](CounterTable& theirs) {
            theirs.enter("a", now, unit);
            theirs.enter("b", now, unit);
        });
    auto table = CounterTable::attach(fd.get());
    CHECK(table->connections(*table->enter("a", now, unit)) == 1);
}

TEST_CASE("processes killed in the middle of counting leave a table that counts right")
{
    const UniqueFd fd = memory();
    auto table = CounterTable::attach(fd.get());
    const auto own = table->enter("a", now, unit);
    for (int round = 0; round < 60; ++round) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            auto theirs = CounterTable::attach(fd.get());
            for (;;) {
                const auto one = theirs->enter("a", now, unit);
                const auto two = theirs->enter("b", now, unit);
                if (one)
                    theirs->leave(*one);
                if (two)
                    theirs->leave(*two);
            }
        }
        ::usleep(static_cast<useconds_t>(2000 + round * 61));
        ::kill(pid, SIGKILL);
        int status;
        ::waitpid(pid, &status, 0);
        const auto place = table->enter("a", now, unit); // takes the lock from the dead, if it has it
        REQUIRE(place);
        table->forget_dead(now + Duration::seconds(2 * round + 2));
        CHECK(table->connections(*own) == 2);
        table->leave(*place);
    }
}

TEST_CASE("a process in the place of one that was killed with the lock is not kept out by it")
{
    const UniqueFd fd = memory();
    for (int round = 0; round < 60; ++round) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            auto theirs = CounterTable::attach(fd.get());
            for (;;)
                if (const auto place = theirs->enter("a", now, unit))
                    theirs->leave(*place);
        }
        ::usleep(static_cast<useconds_t>(2000 + round * 61));
        ::kill(pid, SIGKILL);
        int status;
        ::waitpid(pid, &status, 0);
        auto table = CounterTable::attach(fd.get());
        const auto place = table->enter("a", now, unit);
        REQUIRE(place);
        CHECK(table->connections(*place) == 1);
        table->leave(*place);
    }
}

TEST_CASE("a process that stands still costs others milliseconds, and no client")
{
    const UniqueFd fd = memory();
    auto table = CounterTable::attach(fd.get());
    // Stopped again and again until it happens to hold the lock.
    const pid_t pid = ::fork();
    if (pid == 0) {
        auto theirs = CounterTable::attach(fd.get());
        for (;;)
            if (const auto place = theirs->enter("b", now, unit))
                theirs->leave(*place);
    }
    bool refused = false;
    for (int i = 0; i < 2000 && !refused; ++i) {
        ::kill(pid, SIGSTOP);
        int status;
        ::waitpid(pid, &status, WUNTRACED);
        const Instant begun = Instant::now();
        const auto place = table->enter("a", now, unit);
        CHECK(Instant::now() - begun < Duration::seconds(1));
        refused = !place;
        if (place)
            table->leave(*place);
        else
            CHECK_FALSE(table->enter("a", now, unit)); // at once
        if (!refused) {
            ::kill(pid, SIGCONT);
            ::usleep(200); // so that it comes to another place
        }
    }
    CHECK(refused);
    ::kill(pid, SIGKILL);
    int status;
    ::waitpid(pid, &status, 0);
    ::usleep(150000);
    CHECK(table->connections(*table->enter("a", now, unit)) == 1);
}

TEST_CASE("a million clients leave the table as large as it is, and those with a connection in it")
{
    auto table = CounterTable::attach(-1);
    const auto stays = table->enter("stays", now, unit);
    for (int i = 0; i < 1'000'000; ++i)
        if (const auto place = table->enter(cat("client", i), now + Duration::microseconds(i), unit))
            table->leave(*place);
    CHECK(table->clients() <= 65536);
    CHECK(table->connections(*stays) == 1);
    const auto last = table->enter("client999999", now + Duration::seconds(1), unit);
    CHECK(table->count(*last, Event::Connection, now + Duration::seconds(1), unit) == 2);
    const auto first = table->enter("client0", now + Duration::seconds(1), unit);
    CHECK(table->count(*first, Event::Connection, now + Duration::seconds(1), unit) == 1);
}

TEST_CASE("when all places are taken, further clients are not counted, and are again when one is free")
{
    auto table = CounterTable::attach(-1);
    std::vector<CounterTable::Place> places;
    while (const auto place = table->enter("same", now, unit))
        places.push_back(*place);
    CHECK(places.size() == 65536);
    table->leave(places.back());
    CHECK(table->enter("same", now, unit));
}

TEST_CASE("failed logins add up as long as there is no unit of time without one")
{
    auto table = CounterTable::attach(-1);
    const auto place = table->enter("a", now, unit);
    Instant at = now;
    for (uint32_t failures = 1; failures <= 5; ++failures, at = at + Duration::seconds(59))
        CHECK(table->add_failure(*place, at, unit) == failures);
    CHECK(table->add_failure(*place, at + Duration::seconds(60), unit) == 1);
}

TEST_CASE("memory that is not what it should be is left alone, and the process counts for itself")
{
    const UniqueFd fd = memory();
    REQUIRE(::ftruncate(fd.get(), 4096) == 0);
    auto table = CounterTable::attach(fd.get());
    CHECK_FALSE(table->shared());
    CHECK(table->connections(*table->enter("a", now, unit)) == 1);
}

TEST_CASE("the memory cannot be cut off, and junk in it harms no process")
{
    const UniqueFd fd = memory();
    auto table = CounterTable::attach(fd.get());
    CHECK(::ftruncate(fd.get(), 0) != 0);
    // All but the first page, where layout, secret and the lock are.
    std::string junk(4096, '\xa5');
    for (off_t at = 4096; at < ::lseek(fd.get(), 0, SEEK_END); at += 4096)
        REQUIRE(::pwrite(fd.get(), junk.data(), std::min<size_t>(junk.size(), static_cast<size_t>(::lseek(fd.get(), 0, SEEK_END) - at)), at) > 0);
    for (int i = 0; i < 1000; ++i)
        if (const auto place = table->enter(cat("c", i), now, unit)) {
            table->add(*place, Event::Message, now, unit);
            table->leave(*place);
        }
    table->forget_dead(now);
    CHECK(table->clients() > 0);
}
