// The shared cache: what it keeps, what it forgets, and that nothing that befalls its file or another process of it
// does harm. The other processes are real ones.
#include "t/unit/table/fixture.h"

#include "lib/base/sip_hash.h"
#include "lib/table/cache.h"
#include "t/support/catch.h"

#include <csignal>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace posthouse;
using posthouse::table::Cache;
using posthouse::table::CacheEntry;

namespace {

constexpr int64_t now = 1'000'000;
constexpr int64_t later = now + 100;
constexpr size_t small = 64 << 10;

struct Folder {
    Folder()
    {
        char name[] = "/tmp/posthouse-cache-XXXXXX";
        path = ::mkdtemp(name);
        file = path + "/c.cache";
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::unique_ptr<Cache> open(size_t bytes = small) const
    {
        auto cache = Cache::open("lmdb:" + path + "/c", bytes);
        if (!cache)
            throw std::runtime_error(cache.error().full_text());
        return std::move(*cache);
    }
    std::string path;
    std::string file;
};

std::string value_of(Cache& cache, std::string_view key, int64_t at = now)
{
    const auto entry = cache.get(key, at);
    return entry ? entry->value : "(none)";
}

// Runs `work` in a child until it ends or is killed.
template <class Work>
pid_t child(Work work)
{
    const pid_t pid = ::fork();
    if (pid == 0) {
        work();
        ::_exit(0);
    }
    return pid;
}

void wait_for(pid_t pid)
{
    int status = 0;
    ::waitpid(pid, &status, 0);
}

void count_up(Cache& cache, std::string_view key)
{
    cache.update(key, now, [](std::optional<CacheEntry>& entry) {
        const int before = entry ? std::stoi(entry->value) : 0;
        entry.emplace(std::to_string(before + 1), later);
    });
}

} // namespace

TEST_CASE("the hash is that of its authors")
{
    // Appendix A of the paper: key 00..0f, message 00..0e.
    std::string message;
    for (char c = 0; c < 15; ++c)
        message.push_back(c);
    CHECK(sip_hash(0x0706050403020100u, 0x0f0e0d0c0b0a0908u, message) == 0xa129ca6149be45e5u);
}

TEST_CASE("a cache keeps what was put in until its time, also for who opens it later")
{
    const Folder folder;
    {
        auto cache = folder.open();
        CHECK(value_of(*cache, "k") == "(none)");
        CHECK(cache->put("k", "1", later, now));
        CHECK(cache->put("other", std::string("\0\r\n", 3), later, now));
        CHECK(cache->put("k", "2", later, now));
        cache->erase("absent", now);
    }
    auto cache = folder.open(1 << 20);
    CHECK(value_of(*cache, "k") == "2");
    CHECK(cache->get("k", now)->expires == later);
    CHECK(value_of(*cache, "k", later - 1) == "2");
    CHECK(value_of(*cache, "k", later) == "(none)");
    CHECK(value_of(*cache, "other") == std::string("\0\r\n", 3));
    cache->erase("k", now);
    CHECK(value_of(*cache, "k") == "(none)");
}

TEST_CASE("all types of table name one file, and a name that cannot be one is an error")
{
    for (const char* name : {"lmdb:/d/c", "btree:/d/c", "hash:/d/c", "/d/c", "proxy:btree:/d/c"})
        CHECK(*Cache::file_of(name) == "/d/c.cache");
    for (const char* name : {"", "memcache:/d/c", "lmdb:c", "lmdb:/d/"})
        CHECK_FALSE(Cache::file_of(name));
}

TEST_CASE("a full cache forgets what was written longest ago, and stays as large as it is")
{
    const Folder folder;
    auto cache = folder.open();
    for (int i = 0; i < 5000; ++i)
        CHECK(cache->put("key" + std::to_string(i), std::string(50, 'v'), later, now));
    CHECK(value_of(*cache, "key4999") != "(none)");
    CHECK(value_of(*cache, "key0") == "(none)");
    size_t kept = 0;
    cache->walk(now, [&](std::string_view, const CacheEntry&) { ++kept; });
    CHECK(kept > 15 * 4096 / 80); // of 15 pages
    CHECK(std::filesystem::file_size(folder.file) == small);
}

TEST_CASE("what has expired makes room before anything that has not")
{
    const Folder folder;
    auto cache = folder.open(8192); // one page of records
    CHECK(cache->put("stays", "1", later + 100, now));
    for (int i = 0; i < 60; ++i)
        CHECK(cache->put("old" + std::to_string(i), std::string(40, 'v'), later, now));
    for (int i = 0; i < 50; ++i)
        CHECK(cache->put("new" + std::to_string(i), std::string(40, 'v'), later + 100, later));
    CHECK(value_of(*cache, "stays", later) == "1");
}

TEST_CASE("a record longer than a cache keeps is refused, and takes the one before with it")
{
    const Folder folder;
    auto cache = folder.open();
    CHECK(cache->put("k", std::string(Cache::longest_record - 1, 'x'), later, now));
    CHECK_FALSE(cache->put("k", std::string(Cache::longest_record, 'x'), later, now));
    CHECK(value_of(*cache, "k") == "(none)");
}

TEST_CASE("a change sees the entry, and an entry that it clears is gone")
{
    const Folder folder;
    auto cache = folder.open();
    CHECK(cache->put("k", "1", later, now));
    CHECK(cache->update("k", now, [](std::optional<CacheEntry>& entry) { entry->value += "2"; }));
    CHECK(value_of(*cache, "k") == "12");
    CHECK(cache->update("k", now, [](std::optional<CacheEntry>& entry) { entry.reset(); }));
    CHECK(value_of(*cache, "k") == "(none)");
    CHECK(cache->update("k", now, [](std::optional<CacheEntry>& entry) { CHECK_FALSE(entry); }));
}

TEST_CASE("processes that count at the same time lose no count")
{
    const Folder folder;
    auto cache = folder.open();
    std::vector<pid_t> children;
    for (int c = 0; c < 4; ++c)
        children.push_back(child([&] {
            auto own = folder.open();
            for (int i = 0; i < 500;) {
                bool counted = false;
                own->update("k", now, [&](std::optional<CacheEntry>& entry) {
                    entry.emplace(std::to_string(entry ? std::stoi(entry->value) + 1 : 1), later);
                    counted = true;
                });
                i += counted ? 1 : 0;
            }
        }));
    for (const pid_t pid : children)
        wait_for(pid);
    CHECK(value_of(*cache, "k") == "2000");
}

TEST_CASE("a process killed in the middle of changes leaves whole values and no lock")
{
    const Folder folder;
    auto cache = folder.open(8192);
    int last = 0;
    for (int round = 0; round < 40; ++round) {
        const pid_t pid = child([&] {
            auto own = folder.open(8192);
            for (;;) {
                count_up(*own, "k");
                own->put("bulk", std::string(1500, 'b'), later, now);
            }
        });
        ::usleep(static_cast<useconds_t>(3000 + round * 137));
        ::kill(pid, SIGKILL);
        wait_for(pid);
        CHECK(cache->put("mine", "1", later, now));
        if (last == 0 && value_of(*cache, "bulk") == "(none)")
            continue; // killed before it had begun
        const std::string value = value_of(*cache, "k");
        REQUIRE(value != "(none)");
        REQUIRE(std::stoi(value) >= last);
        last = std::stoi(value);
        CHECK(value_of(*cache, "bulk").size() == 1500);
    }
    CHECK(last > 0);
}

TEST_CASE("a process that is stopped while it changes a page holds others up for milliseconds, and readers not at all")
{
    const Folder folder;
    auto cache = folder.open(8192);
    CHECK(cache->put("k", "before", later, now));
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    const pid_t pid = child([&] {
        auto own = folder.open(8192);
        own->update("k", now, [&](std::optional<CacheEntry>&) {
            (void)!::write(ready[1], "x", 1);
            ::raise(SIGSTOP);
        });
    });
    char byte;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    int status;
    REQUIRE(::waitpid(pid, &status, WUNTRACED) == pid);
    const Instant begun = Instant::now();
    CHECK_FALSE(cache->put("k", "after", later, now));
    CHECK(Instant::now() - begun < Duration::milliseconds(500));
    CHECK(value_of(*cache, "k") == "before");
    ::kill(pid, SIGKILL);
    wait_for(pid);
    CHECK(cache->put("k", "after", later, now));
    ::close(ready[0]);
    ::close(ready[1]);
}

TEST_CASE("a file that is cut off at any length, open or not, forgets and works on")
{
    const Folder folder;
    auto open_all_along = folder.open();
    for (off_t length : {0, 1, 8, 31, 35, 36, 100, 4096, 4100, 5000, 8192, 20000}) {
        for (int i = 0; i < 200; ++i)
            open_all_along->put("key" + std::to_string(i), "v", later, now);
        REQUIRE(::truncate(folder.file.c_str(), length) == 0);
        for (int i = 0; i < 200; ++i) {
            const std::string value = value_of(*open_all_along, "key" + std::to_string(i));
            CHECK((value == "v" || value == "(none)"));
        }
        CHECK(open_all_along->put("k", "1", later, now));
        CHECK(value_of(*open_all_along, "k") == "1");
        auto opened_after = folder.open();
        CHECK(opened_after->put("k", "2", later, now));
        CHECK(value_of(*opened_after, "k") == "2");
    }
}

TEST_CASE("scrambled bytes lose the records of their pages, and never make one that nobody has put in")
{
    const Folder folder;
    unsigned seed = 4711;
    for (int round = 0; round < 100; ++round) {
        auto cache = folder.open();
        for (int i = 0; i < 300; ++i)
            cache->put("key" + std::to_string(i), "value" + std::to_string(i), later, now);
        const UniqueFd file(::open(folder.file.c_str(), O_WRONLY | O_CLOEXEC));
        for (int hits = 0; hits < 1 + round; ++hits) {
            const unsigned at = static_cast<unsigned>(::rand_r(&seed)) % small;
            const char junk = static_cast<char>(::rand_r(&seed));
            REQUIRE(::pwrite(file.get(), &junk, 1, at) == 1);
        }
        auto reopened = folder.open();
        for (Cache* each : {cache.get(), reopened.get()})
            each->walk(now, [&](std::string_view key, const CacheEntry& entry) {
                CHECK("value" + std::string(key.substr(3)) == entry.value);
                CHECK(entry.expires == later);
            });
        CHECK(reopened->put("key1", "value1", later, now));
        CHECK(value_of(*reopened, "key1") == "value1");
    }
}

TEST_CASE("a file of something else is begun anew")
{
    const Folder folder;
    for (const std::string& content : {std::string("# a text\n"), std::string(200000, '\0'), std::string(5000, '\xff')}) {
        REQUIRE(replace_file(folder.file, content, 0600));
        auto cache = folder.open();
        CHECK(cache->put("k", "1", later, now));
        CHECK(value_of(*folder.open(), "k") == "1");
        CHECK(std::filesystem::file_size(folder.file) == small);
    }
}

TEST_CASE("a cache whose file was removed is stale, and still works")
{
    const Folder folder;
    auto cache = folder.open();
    CHECK_FALSE(cache->stale());
    std::filesystem::remove(folder.file);
    CHECK(cache->stale());
    CHECK(cache->put("k", "1", later, now));
    CHECK(value_of(*cache, "k") == "1");
    CHECK(value_of(*folder.open(), "k") == "(none)");
}

TEST_CASE("links, pipes and directories in the place of the file are refused and left alone")
{
    const Folder folder;
    const std::string victim = folder.path + "/victim";
    REQUIRE(replace_file(victim, "precious", 0600));
    REQUIRE(::symlink(victim.c_str(), folder.file.c_str()) == 0);
    CHECK_FALSE(Cache::open("lmdb:" + folder.path + "/c"));
    ::unlink(folder.file.c_str());
    REQUIRE(::mkfifo(folder.file.c_str(), 0600) == 0);
    CHECK_FALSE(Cache::open("lmdb:" + folder.path + "/c"));
    ::unlink(folder.file.c_str());
    REQUIRE(::mkdir(folder.file.c_str(), 0700) == 0);
    CHECK_FALSE(Cache::open("lmdb:" + folder.path + "/c"));
    CHECK(*read_file(victim, 100) == "precious");
}

TEST_CASE("root makes the file as the owner of the directory, and follows no link of his to files of root")
{
    if (::geteuid() != 0)
        return; // an ordinary user has nothing to be tricked out of
    const Folder folder;
    constexpr uid_t nobody = 65534;
    REQUIRE(::chown(folder.path.c_str(), nobody, nobody) == 0);
    auto cache = folder.open();
    struct stat status;
    REQUIRE(::stat(folder.file.c_str(), &status) == 0);
    CHECK(status.st_uid == nobody);
    CHECK((status.st_mode & 0777) == 0600);
    ::unlink(folder.file.c_str());

    // A hard link: O_NOFOLLOW does not see it.
    char name[] = "/tmp/posthouse-root-XXXXXX";
    const UniqueFd of_root(::mkostemp(name, O_CLOEXEC));
    REQUIRE(::write(of_root.get(), "precious", 8) == 8);
    REQUIRE(::link(name, folder.file.c_str()) == 0);
    CHECK_FALSE(Cache::open("lmdb:" + folder.path + "/c"));
    CHECK(*read_file(name, 100) == "precious");
    ::unlink(name);
    CHECK(::access("/root", W_OK) == 0); // root again
    const UniqueFd as_root(::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
    CHECK(as_root);
}
