// The keys of session tickets: the same in each process, new in each period, and none that can be had back.
#include "lib/base/file.h"
#include "lib/base/time.h"
#include "lib/tls/ticket_keys.h"
#include "t/support/catch.h"

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

using namespace posthouse;
using tls::TicketKeys;

namespace {

constexpr int64_t hour = 3600;
constexpr int64_t noon = 1795348800;

struct Folder {
    Folder()
    {
        char name[] = "/tmp/posthouse-tickets-XXXXXX";
        path = ::mkdtemp(name);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string file() const { return path + "/chain"; }
    std::string path;
};

std::unique_ptr<TicketKeys> open(const Folder& folder, int64_t now, int64_t period = hour)
{
    return std::move(*TicketKeys::open(folder.file(), period, now));
}

std::string name_of(TicketKeys& keys, int64_t now)
{
    const TicketKeys::Key& key = keys.current(now);
    return std::string(reinterpret_cast<const char*>(key.name.data()), key.name.size());
}

bool same(const TicketKeys::Key& a, const TicketKeys::Key& b)
{
    return a.name == b.name && a.cipher == b.cipher && a.mac == b.mac;
}

const TicketKeys::Key* find(TicketKeys& keys, const std::string& name, int64_t now, TicketKeys::Age& age)
{
    return keys.find(reinterpret_cast<const unsigned char*>(name.data()), now, age);
}

} // namespace

TEST_CASE("processes that open the same file have the same keys, whenever they were started")
{
    const Folder folder;
    auto first = open(folder, noon);
    auto second = open(folder, noon + 100);
    CHECK(same(first->current(noon + 200), second->current(noon + 200)));
    auto third = open(folder, noon + 50 * hour);
    CHECK(same(first->current(noon + 50 * hour), third->current(noon + 50 * hour)));
    CHECK(same(second->current(noon + 51 * hour), third->current(noon + 51 * hour)));
}

TEST_CASE("a new key comes each period, and the one before is taken for another")
{
    const Folder folder;
    auto keys = open(folder, noon);
    const std::string now = name_of(*keys, noon);
    TicketKeys::Age age;
    REQUIRE(find(*keys, now, noon, age));
    CHECK(age == TicketKeys::Age::Current);
    const std::string later = name_of(*keys, noon + hour);
    CHECK(later != now);
    REQUIRE(find(*keys, now, noon + hour, age));
    CHECK(age == TicketKeys::Age::Previous);
    CHECK_FALSE(find(*keys, now, noon + 2 * hour, age));
    // A process that starts in the second period takes tickets of the first.
    auto fresh = open(folder, noon + hour + 1);
    CHECK(find(*fresh, now, noon + hour + 1, age));
}

TEST_CASE("a clock that is set back brings no old key back and splits no service")
{
    const Folder folder;
    auto keys = open(folder, noon + hour);
    const std::string name = name_of(*keys, noon + hour);
    CHECK(name_of(*keys, noon) == name);
    auto other = open(folder, noon + hour - 1); // on the other side of the end of a period
    CHECK(name_of(*other, noon + hour) == name);
}

TEST_CASE("no name that was never given out is a key's: not of zeros, not in a process's first period")
{
    auto keys = TicketKeys::unshared(hour, noon);
    TicketKeys::Age age;
    CHECK_FALSE(find(*keys, std::string(TicketKeys::name_size, '\0'), noon, age));
    CHECK(find(*keys, name_of(*keys, noon), noon, age));
}

TEST_CASE("the file holds what tomorrow's keys follow from and not yesterday's")
{
    const Folder folder;
    auto keys = open(folder, noon);
    const std::string before = *read_file(folder.file(), 1000);
    open(folder, noon + 10 * hour);
    const std::string after = *read_file(folder.file(), 1000);
    CHECK(before != after);
    CHECK(after.starts_with("posthouse-tickets 1 3600 "));
    struct stat status;
    REQUIRE(::stat(folder.file().c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a file that others can read, that is a link, or is damaged, makes way for a new chain")
{
    const Folder folder;
    const std::string name = name_of(*open(folder, noon), noon);
    CHECK(name_of(*open(folder, noon), noon) == name);
    ::chmod(folder.file().c_str(), 0644);
    const std::string second = name_of(*open(folder, noon), noon);
    CHECK(second != name);
    std::string text = *read_file(folder.file(), 1000);
    text[text.size() - 3] = 'x';
    REQUIRE(replace_file(folder.file(), text, 0600));
    CHECK(name_of(*open(folder, noon), noon) != second);
    const std::string target = folder.path + "/elsewhere";
    REQUIRE(replace_file(target, "precious", 0600));
    ::unlink(folder.file().c_str());
    REQUIRE(::symlink(target.c_str(), folder.file().c_str()) == 0);
    CHECK(open(folder, noon));
    CHECK(*read_file(target, 100) == "precious");
}

TEST_CASE("another period, or a file from long ago or from the future, begins a new chain at once")
{
    const Folder folder;
    const std::string name = name_of(*open(folder, noon), noon);
    CHECK(name_of(*open(folder, noon, 2 * hour), noon) != name);
    const std::string far = name_of(*open(folder, noon + 1000000 * hour), noon + 1000000 * hour);
    CHECK(name_of(*open(folder, noon), noon) != far);
    auto keys = open(folder, noon, 1);
    const Instant begun = Instant::now();
    (void)keys->current(noon * 100); // a clock that goes wild does not hold anybody up
    CHECK(Instant::now() - begun < Duration::seconds(1));
}
