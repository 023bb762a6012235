// What cannot be read or written at the moment is neither lost nor taken for free: no descriptors, no permission, I/O
// errors. On a real file system, with the limits of the kernel.
#include "lib/base/file.h"
#include "lib/queue/slot_files.h"
#include "t/unit/queue/pool_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <filesystem>
#include <sys/resource.h>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::queue;
using namespace posthouse::test;

namespace {

// No descriptor can be opened in this process while it lives.
class NoDescriptors {
public:
    NoDescriptors()
    {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        const rlimit none = {3, before_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    }
    ~NoDescriptors() { (void)::setrlimit(RLIMIT_NOFILE, &before_); }
    NoDescriptors(const NoDescriptors&) = delete;
    NoDescriptors& operator=(const NoDescriptors&) = delete;

private:
    rlimit before_;
};

// A disk on which queue files cannot be written while `failing`; everything else can.
class FailingDisk final : public Disk {
public:
    bool failing = false;
    ssize_t pwritev(int fd, const iovec* parts, int count, uint64_t offset) override
    {
        if (failing && std::filesystem::read_symlink(cat("/proc/self/fd/", fd)).string().find("journal") == std::string::npos) {
            errno = EIO;
            return -1;
        }
        return Disk::system().pwritev(fd, parts, count, offset);
    }
    int fdatasync(int fd) override { return Disk::system().fdatasync(fd); }
    int syncfs(int fd) override { return Disk::system().syncfs(fd); }
};

class TroubleFixture : public PoolFixture {
public:
    TroubleFixture() { limits.retry_delay = Duration::milliseconds(10); }
    RecipientState state_in_file(uint64_t number, size_t index)
    {
        const auto fd = SlotFiles(directory.path()).open(number, O_RDONLY);
        REQUIRE(fd);
        auto examined = examine_file(fd->get(), number, Depth::WithoutContent);
        REQUIRE(examined);
        REQUIRE(examined->verdict == Verdict::Complete);
        return examined->message.states.at(index);
    }
    // A new life of qmgr, at its very beginning.
    void begin_scan(TaskGroup& tasks, bool& ended)
    {
        stop();
        listener = RecordingListener();
        auto opened = SlotPool::open(loop, threads, directory.path(), limits, listener);
        REQUIRE(opened);
        pool = *std::move(opened);
        tasks.spawn(scan_all(*pool, ended));
    }
    static Task<void> scan_all(SlotPool& scanned_pool, bool& ended)
    {
        auto scanned = co_await scanned_pool.scan();
        REQUIRE(scanned);
        ended = true;
    }
    bool header_is_free(uint64_t number)
    {
        const UniqueFd fd(::open(path(number).c_str(), O_RDONLY));
        auto examined = examine_file(fd.get(), number, Depth::WithoutContent);
        REQUIRE(examined);
        return examined->verdict == Verdict::Free;
    }
};

} // namespace

TEST_CASE("A mark that cannot be written for want of descriptors is in what is read of the message, and in its file later")
{
    TroubleFixture f;
    f.start();
    const uint64_t number = f.queue_message(sample_content(100), sample_envelope(2));
    {
        const NoDescriptors none;
        f.pool->mark(number, 0, RecipientState::Delivered);
        f.pool->mark(number, 1, RecipientState::Failed);
        f.turn(Duration::milliseconds(50)); // tries and fails
        CHECK(f.pool->counts().undone == 1);
    }
    CHECK(f.state_in_file(number, 0) == RecipientState::Pending);
    auto loading = f.pool->load(number, Depth::WithoutContent);
    auto loaded = run_task(f.loop, std::move(loading));
    REQUIRE(loaded);
    CHECK(loaded->states == std::vector<RecipientState>{RecipientState::Delivered, RecipientState::Failed});
    CHECK(loaded->known);
    f.turn_until([&] { return f.pool->counts().undone == 0; });
    CHECK(f.state_in_file(number, 0) == RecipientState::Delivered);
    CHECK(f.state_in_file(number, 1) == RecipientState::Failed);
}

TEST_CASE("A mark that meets an I/O error is kept, and is in the file when the disk works again")
{
    TroubleFixture f;
    FailingDisk disk;
    f.start(&disk);
    const uint64_t number = f.queue_message(sample_content(100));
    disk.failing = true;
    f.pool->mark(number, 0, RecipientState::Failed);
    f.turn(Duration::milliseconds(50));
    CHECK(f.pool->counts().undone == 1);
    disk.failing = false;
    f.pool->mark(number, 0, RecipientState::Bounced); // in order, behind the first
    f.turn_until([&] { return f.pool->counts().undone == 0; });
    CHECK(f.state_in_file(number, 0) == RecipientState::Bounced);
}

TEST_CASE("A message that is done but whose file cannot be opened is not free, not live, and retired when it can be")
{
    TroubleFixture f;
    f.start();
    const uint64_t number = f.queue_message(sample_content(100));
    const std::string id = f.listener.arrived[0].message.id();
    {
        const NoDescriptors none;
        f.pool->retire(number);
        f.turn(Duration::milliseconds(50)); // the journal is synced meanwhile
        CHECK(f.pool->counts().undone == 1);
        CHECK(f.pool->counts().retired == 0);
        CHECK_FALSE(f.pool->is_live(number, id));
    }
    CHECK_FALSE(f.header_is_free(number));
    f.turn_until([&] { return f.pool->counts().undone == 0; });
    CHECK(f.header_is_free(number));
    f.settle();
    f.start();
    CHECK(f.listener.arrived.empty());
}

TEST_CASE("What could not be written into its file survives journal after journal, and a restart")
{
    TroubleFixture f;
    f.limits.journal_size = 4096; // 128 facts
    f.limits.retry_delay = Duration::seconds(100);
    FailingDisk disk;
    f.start(&disk);
    const uint64_t done = f.queue_message(sample_content(100));
    const uint64_t marked = f.queue_message(sample_content(100), sample_envelope(2));
    disk.failing = true;
    f.pool->retire(done);
    f.pool->mark(marked, 0, RecipientState::Delivered);
    disk.failing = false;
    for (int round = 0; round < 200; ++round) { // three facts each
        const uint64_t other = f.queue_message(sample_content(10));
        f.pool->mark(other, 0, RecipientState::Delivered);
        f.pool->retire(other);
        f.settle();
    }
    f.turn(Duration::milliseconds(50));
    CHECK_FALSE(f.header_is_free(done));
    f.start();
    REQUIRE(f.listener.arrived.size() == 1);
    CHECK(f.listener.arrived[0].message.number == marked);
    CHECK(f.listener.arrived[0].message.states[0] == RecipientState::Delivered);
    CHECK(f.header_is_free(done));
}

TEST_CASE("Thousands of marks that the journal alone has are found at the start, to the last one")
{
    TroubleFixture f;
    f.start();
    constexpr uint32_t count = 5000;
    const uint64_t number = f.queue_message(sample_content(100), sample_envelope(count));
    for (uint32_t i = 0; i + 1 < count; ++i)
        f.pool->mark(number, i, RecipientState::Delivered);
    f.settle();
    f.pool.reset();
    const UniqueFd fd(::open(f.path(number).c_str(), O_RDWR));
    auto examined = examine_file(fd.get(), number, Depth::WithoutContent);
    REQUIRE(examined);
    for (uint32_t i = 0; i + 1 < count; ++i)
        REQUIRE(write_state(Disk::system(), fd.get(), examined->message.states_offset, i, RecipientState::Pending));
    f.start();
    REQUIRE(f.listener.arrived.size() == 1);
    const auto& states = f.listener.arrived[0].message.states;
    CHECK(std::count(states.begin(), states.end(), RecipientState::Delivered) == count - 1);
}

TEST_CASE("A slot that cannot be read at the start is looked at again, and its message is found with its marks")
{
    TroubleFixture f;
    f.limits.journal_size = 4096;
    f.start();
    const uint64_t number = f.queue_message(sample_content(100), sample_envelope(2));
    f.pool->mark(number, 0, RecipientState::Delivered);
    f.settle();
    f.pool.reset();
    // As if the mark had not reached the file before the power went: the journal alone has it.
    const UniqueFd fd(::open(f.path(number).c_str(), O_RDWR));
    auto examined = examine_file(fd.get(), number, Depth::WithoutContent);
    REQUIRE(examined);
    REQUIRE(write_state(Disk::system(), fd.get(), examined->message.states_offset, 0, RecipientState::Pending));
    // Not a regular file for a while: open fails, whoever one is.
    const std::string aside = f.directory.path() + "/aside";
    std::filesystem::rename(f.path(number), aside);
    std::filesystem::create_symlink(aside, f.path(number));
    f.start();
    CHECK(f.listener.arrived.empty());
    CHECK(f.pool->counts().undone == 1);
    for (int round = 0; round < 200; ++round) { // the journal is written over
        f.pool->retire(f.queue_message(sample_content(10)));
        f.settle();
    }
    f.listener.arrived.clear();
    std::filesystem::rename(aside, f.path(number));
    f.turn_until([&] { return !f.listener.arrived.empty(); });
    CHECK(f.listener.arrived[0].message.number == number);
    CHECK(f.listener.arrived[0].message.states ==
          std::vector<RecipientState>{RecipientState::Delivered, RecipientState::Pending});
    CHECK(f.pool->counts().undone == 0);
}

TEST_CASE("A slot whose holder went away while no descriptor was left is looked at again")
{
    TroubleFixture f;
    f.start();
    auto files = run_task(f.loop, f.pool->lease(1, 1));
    REQUIRE(files);
    const uint64_t number = files->front().slot.number;
    const int64_t id_us = wall_clock_us();
    mail::Envelope envelope = sample_envelope();
    envelope.id = make_id(id_us, number);
    envelope.arrival_us = id_us;
    const CommitImage image = make_commit_image(number, id_us, envelope, info_of("x\r\n"));
    REQUIRE(write_commit(Disk::system(), files->front().file.get(), image, "x\r\n", header_size));
    files->clear();
    {
        const NoDescriptors none;
        f.pool->holder_gone(1);
        f.turn(Duration::milliseconds(50));
        CHECK(f.listener.arrived.empty());
    }
    f.turn_until([&] { return f.listener.arrived.size() == 1; });
    CHECK(f.listener.arrived[0].message.id() == envelope.id);
}

TEST_CASE("A message that was committed while no qmgr was there does not wait behind all that the new one finds")
{
    TroubleFixture f;
    f.limits.create_batch = 4;
    f.start();
    for (int i = 0; i < 600; ++i)
        f.queue_message(sample_content(10));
    auto files = run_task(f.loop, f.pool->lease(1, 1));
    REQUIRE(files);
    const uint64_t number = files->front().slot.number;
    TaskGroup scanning(f.loop);
    bool ended = false;
    f.begin_scan(scanning, ended);
    f.pool->claim(7, {number});
    CommittedMessage notice;
    notice.number = number;
    notice.envelope = sample_envelope();
    notice.envelope.arrival_us = std::max(wall_clock_us(), files->front().slot.not_before_us);
    notice.envelope.id = make_id(notice.envelope.arrival_us, number);
    notice.content = info_of("x\r\n");
    const CommitImage image = make_commit_image(number, notice.envelope.arrival_us, notice.envelope, notice.content);
    REQUIRE(write_commit(Disk::system(), files->front().file.get(), image, "x\r\n", header_size));
    files->clear();
    f.turn_until([&] { return !f.listener.arrived.empty(); });
    CHECK(f.pool->committed(7, std::move(notice)));
    f.turn_until([&] { return ended; });
    CHECK(f.listener.arrived.size() == 601);
    const auto at = std::find_if(f.listener.arrived.begin(), f.listener.arrived.end(),
                                 [&](const auto& one) { return one.message.number == number; });
    REQUIRE(at != f.listener.arrived.end());
    CHECK(at->how == Arrival::Examined);
    CHECK(at - f.listener.arrived.begin() < 400);
}

TEST_CASE("One free slot that cannot be opened does not keep the others from being leased")
{
    TroubleFixture f;
    f.start();
    auto first = run_task(f.loop, f.pool->lease(1, 1));
    REQUIRE(first);
    const uint64_t number = first->front().slot.number;
    first->clear();
    f.pool->holder_gone(1);
    f.turn(Duration::milliseconds(50));
    const std::string aside = f.directory.path() + "/aside";
    std::filesystem::rename(f.path(number), aside);
    std::filesystem::create_symlink(aside, f.path(number));
    for (int i = 0; i < 3; ++i) {
        auto files = run_task(f.loop, f.pool->lease(64, 1));
        REQUIRE(files);
    }
    std::filesystem::rename(aside, f.path(number));
    f.turn_until([&] { return f.pool->counts().undone == 0; });
}

TEST_CASE("A damaged file that cannot be moved to corrupt/ is moved later")
{
    TroubleFixture f;
    f.start();
    const uint64_t number = f.queue_message(sample_content(100));
    const std::string corrupt = f.directory.path() + "/corrupt";
    std::filesystem::rename(corrupt, corrupt + ".away");
    // Not there is ENOENT, which the file itself could be: something that is no directory.
    const UniqueFd blocking(::open(corrupt.c_str(), O_RDWR | O_CREAT, 0600));
    f.pool->quarantine(number, "a test says so");
    CHECK(std::filesystem::exists(f.path(number)));
    std::filesystem::remove(corrupt);
    std::filesystem::rename(corrupt + ".away", corrupt);
    f.turn_until([&] { return !std::filesystem::exists(f.path(number)); });
    CHECK_FALSE(std::filesystem::is_empty(corrupt));
    CHECK(f.listener.damaged.size() == 1);
}

TEST_CASE("Leases are given before the scan has ended, of slots that the scan never meets")
{
    TroubleFixture f;
    f.limits.create_batch = 4;
    f.start();
    std::vector<uint64_t> numbers;
    for (int i = 0; i < 600; ++i)
        numbers.push_back(f.queue_message(sample_content(10)));
    TaskGroup scanning(f.loop);
    bool ended = false;
    f.begin_scan(scanning, ended);
    // A message comes, is delivered and done with while the others are still being found.
    const uint64_t early = f.queue_message(sample_content(10));
    CHECK_FALSE(ended);
    CHECK(std::find(numbers.begin(), numbers.end(), early) == numbers.end());
    f.pool->mark(early, 0, RecipientState::Delivered);
    f.pool->retire(early);
    const uint64_t second = f.queue_message(sample_content(10));
    CHECK(second != early); // not used again before the journal has it
    f.turn_until([&] { return ended; });
    CHECK(f.listener.arrived.size() == 602);
    f.settle();
    f.start();
    CHECK(f.listener.arrived.size() == 601);
}
