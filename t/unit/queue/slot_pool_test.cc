// The rows of the state table (lib/queue/queue.h), one after the other, on a real file system.
#include "lib/queue/slot_pool.h"

#include "lib/base/file.h"
#include "t/unit/queue/pool_fixture.h"

#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

using namespace posthouse;
using namespace posthouse::queue;
using namespace posthouse::test;

namespace {

std::vector<LeasedFile> lease(PoolFixture& f, size_t count, HolderId holder)
{
    auto files = run_task(f.loop, f.pool->lease(count, holder));
    REQUIRE(files);
    return *std::move(files);
}

// What a holder does: writes a whole message into its slot.
CommittedMessage write_into(const LeasedFile& file, const std::string& content, mail::Envelope envelope)
{
    const int64_t id_us = std::max(file.slot.not_before_us, wall_clock_us());
    envelope.id = make_id(id_us, file.slot.number);
    envelope.arrival_us = id_us;
    CommittedMessage message;
    message.number = file.slot.number;
    message.content = info_of(content);
    const CommitImage image = make_commit_image(file.slot.number, id_us, envelope, message.content);
    message.states_offset = image.tail_offset + image.tail.size() - envelope.recipients.size();
    message.envelope = std::move(envelope);
    REQUIRE(write_commit(Disk::system(), file.file.get(), image, content, header_size));
    return message;
}

bool is_locked(const std::string& path)
{
    const UniqueFd fd(::open(path.c_str(), O_RDONLY));
    return ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0;
}

} // namespace

TEST_CASE("none to Free to Leased: slots are made in batches, reserved, and locked by their lease")
{
    PoolFixture f;
    f.start();
    auto files = lease(f, 3, 1);
    REQUIRE_FALSE(files.empty());
    const uint64_t number = files[0].slot.number;
    CHECK(is_locked(f.path(number)));
    CHECK(std::filesystem::file_size(f.path(number)) == f.limits.slot_size);
    CHECK(f.pool->counts().leased == files.size());
}

TEST_CASE("Leased to Free: the slot of a holder that went away unused is leased again")
{
    PoolFixture f;
    f.start();
    auto files = lease(f, 1, 1);
    const uint64_t number = files[0].slot.number;
    files.clear(); // its process has died
    f.pool->holder_gone(1);
    f.turn_until([&] { return f.pool->counts().leased == 0; });
    f.turn(Duration::milliseconds(50));
    const auto again = lease(f, 64, 2);
    CHECK(std::any_of(again.begin(), again.end(), [&](auto& file) { return file.slot.number == number; }));
    CHECK(f.listener.arrived.empty());
}

TEST_CASE("Writing to Complete: a notice queues the message at once")
{
    PoolFixture f;
    f.start();
    auto files = lease(f, 1, 1);
    CommittedMessage notice = write_into(files[0], sample_content(3000), sample_envelope(2));
    const std::string id = notice.envelope.id;
    files.clear();
    CHECK(f.pool->committed(1, std::move(notice)));
    REQUIRE(f.listener.arrived.size() == 1);
    CHECK(f.listener.arrived[0].message.id() == id);
    CHECK(f.listener.arrived[0].how == Arrival::Noticed);
    CHECK(f.listener.arrived[0].message.states.size() == 2);
}

TEST_CASE("Writing to Complete: a message whose notice was never sent is found when its holder goes away")
{
    PoolFixture f;
    f.start();
    auto files = lease(f, 1, 1);
    const CommittedMessage notice = write_into(files[0], sample_content(3000), sample_envelope());
    files.clear();
    f.pool->holder_gone(1);
    f.turn_until([&] { return f.listener.arrived.size() == 1; });
    CHECK(f.listener.arrived[0].message.id() == notice.envelope.id);
    CHECK(f.listener.arrived[0].how == Arrival::Examined);
}

TEST_CASE("Writing to Complete: a message is found at the next start of qmgr")
{
    PoolFixture f;
    f.start();
    auto files = lease(f, 1, 1);
    const CommittedMessage notice = write_into(files[0], sample_content(3000), sample_envelope());
    files.clear();
    f.start();
    REQUIRE(f.listener.arrived.size() == 1);
    CHECK(f.listener.arrived[0].message.id() == notice.envelope.id);
    CHECK(f.listener.arrived[0].how == Arrival::Scanned);
}

TEST_CASE("Writing: a slot that a living holder still has is left alone by a new qmgr until it is let go")
{
    PoolFixture f;
    f.start();
    auto files = lease(f, 1, 1);
    f.start(); // qmgr was killed, the holder lives on
    CHECK(f.listener.arrived.empty());
    const CommittedMessage notice = write_into(files[0], sample_content(3000), sample_envelope());
    f.turn(Duration::milliseconds(100));
    CHECK(f.listener.arrived.empty()); // still locked
    files.clear();
    f.turn_until([&] { return f.listener.arrived.size() == 1; });
    CHECK(f.listener.arrived[0].message.id() == notice.envelope.id);
}

TEST_CASE("Writing: a holder that claims its lease from a new qmgr has its message found at once, not believed")
{
    PoolFixture f;
    f.limits.locked_recheck = Duration::seconds(100);
    f.start();
    auto files = lease(f, 1, 1);
    const uint64_t number = files[0].slot.number;
    f.start();
    f.pool->claim(7, {number});
    CommittedMessage notice = write_into(files[0], sample_content(3000), sample_envelope());
    const std::string id = notice.envelope.id;
    notice.envelope.sender = "somebody.else@example.org";
    files.clear();
    CHECK(f.pool->committed(7, std::move(notice)));
    f.turn_until([&] { return f.listener.arrived.size() == 1; });
    CHECK(f.listener.arrived[0].message.id() == id);
    CHECK(f.listener.arrived[0].message.envelope.sender == sample_envelope().sender);
    f.turn(Duration::milliseconds(100));
    CHECK(f.listener.arrived.size() == 1); // not found a second time
}

TEST_CASE("A notice for a slot that this holder does not have is not believed")
{
    const int which = GENERATE(0, 1, 2);
    PoolFixture f;
    f.start();
    const uint64_t live = f.queue_message(sample_content(100));
    f.listener.arrived.clear();
    auto files = lease(f, 1, 1);
    CommittedMessage notice;
    notice.number = which == 0 ? live : which == 1 ? files[0].slot.number : 4711;
    notice.envelope = sample_envelope();
    notice.envelope.id = make_id(wall_clock_us(), notice.number);
    notice.content = info_of("x");
    notice.states_offset = 1000;
    CHECK_FALSE(f.pool->committed(2, std::move(notice)));
    f.pool->claim(2, {live});
    f.turn(Duration::milliseconds(50));
    CHECK(f.listener.arrived.empty());
    CHECK(f.pool->counts().live == 1);
}

TEST_CASE("Complete to Complete: marks are found again after a restart")
{
    PoolFixture f;
    f.start();
    const uint64_t number = f.queue_message(sample_content(100), sample_envelope(3));
    f.pool->mark(number, 1, RecipientState::Delivered);
    f.pool->mark(number, 2, RecipientState::Failed);
    f.start();
    REQUIRE(f.listener.arrived.size() == 1);
    CHECK(f.listener.arrived[0].message.states == std::vector<RecipientState>{RecipientState::Pending,
                                                                             RecipientState::Delivered,
                                                                             RecipientState::Failed});
    CHECK(f.listener.arrived[0].message.known);
}

TEST_CASE("Complete to Held and back, expiry, warning and the time of the next attempt survive a restart")
{
    PoolFixture f;
    f.start();
    const uint64_t number = f.queue_message(sample_content(100));
    const int64_t later = wall_clock_us() + 3600 * int64_t{1000000};
    f.pool->set_held(number, true);
    f.pool->set_expire(number, Expire::AtNextAttempt);
    f.pool->set_warned(number);
    f.pool->set_next_attempt(number, later);
    f.start();
    REQUIRE(f.listener.arrived.size() == 1);
    const StoredMessage& message = f.listener.arrived[0].message;
    CHECK(message.held);
    CHECK(message.expire == Expire::AtNextAttempt);
    CHECK(message.warned);
    CHECK(message.next_attempt_us == later);
    f.pool->set_held(number, false);
    f.start();
    REQUIRE(f.listener.arrived.size() == 1);
    CHECK_FALSE(f.listener.arrived[0].message.held);
}

TEST_CASE("Complete to Retired to Free: a slot is used again, under a later id")
{
    PoolFixture f;
    f.limits.create_batch = 1;
    f.start();
    const uint64_t number = f.queue_message(sample_content(100));
    const std::string first = f.listener.arrived[0].message.id();
    f.pool->retire(number);
    f.settle();
    for (int round = 0; round < 20; ++round) {
        const uint64_t next = f.queue_message(sample_content(100));
        f.pool->retire(next);
        f.settle();
        if (next == number) {
            CHECK(f.listener.arrived.back().message.id() > first);
            return;
        }
    }
    FAIL("the slot was never used again");
}

TEST_CASE("A retired slot is not leased before the journal is on disk")
{
    PoolFixture f;
    f.limits.journal_delay = Duration::seconds(100);
    f.limits.create_batch = 4;
    f.start();
    const uint64_t number = f.queue_message(sample_content(100));
    f.pool->retire(number);
    CHECK(f.pool->counts().retired == 1);
    auto files = lease(f, 2, 1);
    CHECK(std::none_of(files.begin(), files.end(), [&](auto& file) { return file.slot.number == number; }));
}

TEST_CASE("Free to Leased: a slot that anybody still has open, to read or to write, is not leased")
{
    for (const int mode : {O_RDONLY, O_RDWR}) { // an agent; a holder that let only its lock go
        PoolFixture f;
        f.limits.locked_recheck = Duration::milliseconds(20);
        f.start();
        auto files = lease(f, 1, 1);
        const uint64_t number = files[0].slot.number;
        UniqueFd kept(::open(f.path(number).c_str(), mode));
        files.clear();
        f.pool->holder_gone(1);
        f.turn_until([&] { return f.pool->counts().leased == 0; });
        f.turn(Duration::milliseconds(50));

        std::vector<LeasedFile> leased;
        const auto is_leased = [&] { // when all that are free are taken
            for (int i = 0; i < 4; ++i)
                for (LeasedFile& file : lease(f, 64, 1))
                    leased.push_back(std::move(file));
            return std::any_of(leased.begin(), leased.end(), [&](auto& file) { return file.slot.number == number; });
        };
        CHECK_FALSE(is_leased());
        kept.reset();
        f.turn(Duration::milliseconds(100));
        CHECK(is_leased());
    }
}

TEST_CASE("Free to Leased: without descriptors there is an answer at once, and no slot is lost")
{
    PoolFixture f;
    f.start();
    lease(f, 1, 1).clear();
    const size_t free_before = f.pool->counts().free;
    REQUIRE(free_before > 0);
    rlimit before;
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit none = {3, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    auto refused = run_task(f.loop, f.pool->lease(64, 1));
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().dsn() == "4.3.0");
    CHECK(f.pool->counts().free == free_before);
    CHECK_FALSE(lease(f, 1, 1).empty());
}

TEST_CASE("An id is later than any earlier one of its slot when the clock has been set back")
{
    PoolFixture f;
    f.limits.create_batch = 1;
    f.start();
    auto files = lease(f, 1, 1);
    LeasedFile file = std::move(files[0]);
    file.slot.not_before_us = wall_clock_us() + 86400 * int64_t{1000000}; // written by a clock of tomorrow
    const CommittedMessage notice = write_into(file, sample_content(10), sample_envelope());
    file.file.reset();
    f.pool->holder_gone(1);
    f.turn_until([&] { return f.listener.arrived.size() == 1; });
    f.pool->retire(notice.number);
    f.start();
    // All ids from now on come after it, in whichever slot.
    for (int round = 0; round < 3; ++round) {
        f.queue_message(sample_content(10));
        if (f.listener.arrived.back().message.number == notice.number)
            CHECK(f.listener.arrived.back().message.id() > notice.envelope.id);
    }
}

TEST_CASE("A large message's file is cut back when its slot becomes free")
{
    PoolFixture f;
    f.start();
    const uint64_t number = f.queue_message(sample_content(300000));
    REQUIRE(std::filesystem::file_size(f.path(number)) > 300000);
    f.pool->retire(number);
    f.settle();
    CHECK(std::filesystem::file_size(f.path(number)) == f.limits.slot_size);
}

TEST_CASE("Slots above the pool's limit are unlinked when they have not been needed for a while, not before")
{
    PoolFixture f;
    f.limits.pool_size = 4;
    f.limits.create_batch = 2;
    f.limits.surplus_delay = Duration::milliseconds(300);
    f.start();
    std::vector<uint64_t> numbers;
    for (int i = 0; i < 20; ++i)
        numbers.push_back(f.queue_message(sample_content(10)));
    for (const uint64_t number : numbers)
        f.pool->retire(number);
    f.settle();
    const auto left = [&] {
        return std::count_if(numbers.begin(), numbers.end(),
                             [&](uint64_t number) { return std::filesystem::exists(f.path(number)); });
    };
    CHECK(left() == 20);
    f.turn_until([&] { return left() <= 4; });
    CHECK(f.pool->counts().free == 4);
    f.start();
    CHECK(f.listener.arrived.empty());
}

TEST_CASE("Held messages keep their slots, and there are new ones for others as long as there is space")
{
    PoolFixture f;
    f.limits.pool_size = 4;
    f.limits.create_batch = 2;
    f.start();
    for (int i = 0; i < 100; ++i)
        f.pool->set_held(f.queue_message(sample_content(10)), true);
    CHECK(f.pool->counts().live == 100);
    f.start();
    CHECK(f.listener.arrived.size() == 100);
    CHECK(std::all_of(f.listener.arrived.begin(), f.listener.arrived.end(), [](auto& one) { return one.message.held; }));
    f.queue_message(sample_content(10));
}

TEST_CASE("A message of which every recipient is done was only not retired yet: its slot is free at the next start")
{
    PoolFixture f;
    f.start();
    const uint64_t number = f.queue_message(sample_content(100), sample_envelope(2));
    f.pool->mark(number, 0, RecipientState::Delivered);
    f.pool->mark(number, 1, RecipientState::Bounced);
    f.start();
    CHECK(f.listener.arrived.empty());
    CHECK(f.pool->counts().free > 0);
}

TEST_CASE("A recipient that failed, whose sender has not been told, keeps its message")
{
    PoolFixture f;
    f.start();
    const uint64_t number = f.queue_message(sample_content(100), sample_envelope(2));
    f.pool->mark(number, 0, RecipientState::Delivered);
    f.pool->mark(number, 1, RecipientState::Failed);
    f.start();
    CHECK(f.listener.arrived.size() == 1);
}

TEST_CASE("Complete to Corrupt: a damaged message goes to corrupt/ under its id, the others are queued")
{
    PoolFixture f;
    f.start();
    const uint64_t good = f.queue_message(sample_content(100));
    const uint64_t bad = f.queue_message(sample_content(100));
    const std::string id = f.listener.arrived[1].message.id();
    f.pool->set_known(bad);
    f.settle();
    f.pool.reset();
    const UniqueFd fd(::open(f.path(bad).c_str(), O_WRONLY));
    REQUIRE(pwrite_all(fd.get(), "?", 40));
    f.start();
    REQUIRE(f.listener.arrived.size() == 1);
    CHECK(f.listener.arrived[0].message.number == good);
    CHECK(f.listener.damaged.size() == 1);
    CHECK_FALSE(std::filesystem::exists(f.path(bad)));
    size_t kept = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(f.directory.path() + "/corrupt"))
        ++kept;
    CHECK(kept == 1);
}

TEST_CASE("Damaged content is interrupted arrival before qmgr has the message, and damage afterwards")
{
    PoolFixture f;
    const bool qmgr_had_it = GENERATE(false, true);
    f.start();
    auto files = lease(f, 1, 1);
    CommittedMessage notice = write_into(files[0], sample_content(3000), sample_envelope());
    const std::string id = notice.envelope.id;
    const uint64_t number = notice.number;
    files.clear();
    if (qmgr_had_it) {
        CHECK(f.pool->committed(1, std::move(notice)));
        f.settle(); // the journal says so
    }
    f.pool.reset();
    const UniqueFd fd(::open(f.path(number).c_str(), O_WRONLY));
    REQUIRE(pwrite_all(fd.get(), "?", 2000));
    f.start();
    CHECK(f.listener.arrived.empty());
    CHECK(f.listener.damaged == (qmgr_had_it ? std::vector<std::string>{id} : std::vector<std::string>()));
    CHECK(std::filesystem::exists(f.path(number)) != qmgr_had_it);
}

TEST_CASE("A file that is not a queue file is set aside")
{
    PoolFixture f;
    f.start();
    f.pool.reset();
    const UniqueFd fd(::open(f.path(512).c_str(), O_RDWR | O_CREAT, 0600));
    REQUIRE(pwrite_all(fd.get(), "hello", 0));
    f.start();
    CHECK(std::filesystem::exists(f.directory.path() + "/corrupt/slot.512"));
}

TEST_CASE("After a sync has failed the file is never used again and the message is not queued")
{
    class FailingDisk final : public Disk {
    public:
        bool failing = false;
        ssize_t pwritev(int fd, const iovec* parts, int count, uint64_t offset) override
        {
            return Disk::system().pwritev(fd, parts, count, offset);
        }
        int fdatasync(int fd) override
        {
            if (!failing)
                return Disk::system().fdatasync(fd);
            errno = EIO;
            return -1;
        }
        int syncfs(int fd) override { return Disk::system().syncfs(fd); }
    };
    PoolFixture f;
    FailingDisk disk;
    f.start(&disk);
    auto message = f.begin();
    const uint64_t number = *number_of(message->id());
    REQUIRE(run_task(f.loop, message->append(sample_content(100))));
    disk.failing = true;
    auto committed = run_task(f.loop, message->commit(sample_envelope(), smtp::ContentFacts(), Deadline::never()));
    disk.failing = false;
    REQUIRE_FALSE(committed);
    CHECK(committed.error().dsn() == "4.3.0");
    CHECK(f.listener.arrived.empty());
    CHECK_FALSE(std::filesystem::exists(f.path(number)));
    f.start();
    CHECK(f.listener.arrived.empty());
}

TEST_CASE("A journal that cannot be written stops the use of retired slots, not the queue")
{
    class FailingDisk final : public Disk {
    public:
        bool failing = false;
        ssize_t pwritev(int fd, const iovec* parts, int count, uint64_t offset) override
        {
            if (failing && parts[0].iov_len % 32 == 0 && count == 1 && parts[0].iov_len < 4096) {
                errno = EIO;
                return -1;
            }
            return Disk::system().pwritev(fd, parts, count, offset);
        }
        int fdatasync(int fd) override { return Disk::system().fdatasync(fd); }
        int syncfs(int fd) override { return Disk::system().syncfs(fd); }
    };
    PoolFixture f;
    FailingDisk disk;
    f.start(&disk);
    const uint64_t number = f.queue_message(sample_content(100));
    f.settle();
    disk.failing = true;
    f.pool->retire(number);
    f.turn_until([&] { return !std::filesystem::exists(f.path(number)); });
    f.queue_message(sample_content(100));
}

TEST_CASE("A full journal is checkpointed and its other file written over, without forgetting a mark")
{
    PoolFixture f;
    f.limits.journal_size = 4096; // 128 facts
    f.start();
    const uint64_t marked = f.queue_message(sample_content(10), sample_envelope(300));
    for (uint32_t i = 0; i < 299; ++i) {
        f.pool->mark(marked, i, RecipientState::Delivered);
        if (i % 40 == 0)
            f.settle();
    }
    f.settle();
    f.start();
    REQUIRE(f.listener.arrived.size() == 1);
    const auto& states = f.listener.arrived[0].message.states;
    CHECK(std::count(states.begin(), states.end(), RecipientState::Delivered) == 299);
}

TEST_CASE("A disk with less than queue_minfree gives no lease but 4.3.1")
{
    PoolFixture f;
    f.limits.min_free = UINT64_MAX;
    f.start();
    const auto files = run_task(f.loop, f.pool->lease(1, 1));
    REQUIRE_FALSE(files);
    CHECK(files.error().dsn() == "4.3.1");
}

TEST_CASE("A stored message can be read again, and its content verified")
{
    PoolFixture f;
    f.start();
    const uint64_t number = f.queue_message(sample_content(5000), sample_envelope(2));
    auto loaded = run_task(f.loop, f.pool->load(number, Depth::WithContent));
    REQUIRE(loaded);
    CHECK(loaded->envelope == f.listener.arrived[0].message.envelope);
    CHECK(loaded->states_offset == f.listener.arrived[0].message.states_offset);
    const UniqueFd fd(::open(f.path(number).c_str(), O_WRONLY));
    REQUIRE(pwrite_all(fd.get(), "?", 2000));
    loaded = run_task(f.loop, f.pool->load(number, Depth::WithContent));
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().kind() == ErrorKind::Corrupt);
}
