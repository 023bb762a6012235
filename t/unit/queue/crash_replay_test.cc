// Power cuts by calculation. A queue is worked with through a Disk that records every write and sync. Then,
// for a cut after each of these operations, disks are made as such a cut may leave them: what was synced is
// there, and of what was not, any sectors in any of their versions. A new qmgr starts on each of them
// and has to find every acknowledged message whole, and nothing that was never sent.
#include "lib/base/file.h"
#include "t/unit/queue/pool_fixture.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <mutex>
#include <random>
#include <set>

using namespace posthouse;
using namespace posthouse::queue;
using namespace posthouse::test;

namespace {

constexpr size_t sector_size = 512;
// Disks for each operation, besides the regular ones; make torture asks for more.
int random_cuts()
{
    const char* wanted = std::getenv("POSTHOUSE_RANDOM_CUTS");
    return wanted ? std::atoi(wanted) : 2;
}

struct Operation {
    enum class Kind : uint8_t { Write, Sync, SyncAll, Begin, Acknowledged, Marked, Retired, RetiredForSure } kind;
    std::string file;  // Write, Sync: path below the queue directory
    uint64_t offset = 0;
    std::string bytes;
    std::string id;    // of the message, for the kinds that the test adds
    uint32_t recipient = 0;
};

class RecordingDisk final : public Disk {
public:
    explicit RecordingDisk(std::string root) : root_(std::move(root)) {}

    ssize_t pwritev(int fd, const iovec* parts, int count, uint64_t offset) override
    {
        Operation operation{Operation::Kind::Write, name_of(fd), offset, "", "", 0};
        for (int i = 0; i < count; ++i)
            operation.bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
        add(std::move(operation));
        return Disk::system().pwritev(fd, parts, count, offset);
    }
    int fdatasync(int fd) override
    {
        add(Operation{Operation::Kind::Sync, name_of(fd), 0, "", "", 0});
        return 0;
    }
    int syncfs(int) override
    {
        add(Operation{Operation::Kind::SyncAll, "", 0, "", "", 0});
        return 0;
    }
    void add(Operation operation)
    {
        const std::lock_guard lock(mutex_);
        operations.push_back(std::move(operation));
    }
    std::vector<Operation> operations;

private:
    std::string name_of(int fd) const
    {
        const std::string path = std::filesystem::read_symlink(cat("/proc/self/fd/", fd));
        return path.substr(root_.size() + 1);
    }
    std::string root_;
    std::mutex mutex_;
};

struct Sent {
    std::string content;
    mail::Envelope envelope;
};

// One sector's content: on disk for certain, and the versions that were written since.
struct Sector {
    std::string synced = std::string(sector_size, '\0');
    std::vector<std::string> since;
    const std::string& newest() const { return since.empty() ? synced : since.back(); }
};
using Disks = std::map<std::pair<std::string, uint64_t>, Sector>; // by file and sector number

void apply(Disks& disks, const Operation& operation)
{
    if (operation.kind == Operation::Kind::Write) {
        for (size_t at = 0; at < operation.bytes.size();) {
            const uint64_t position = operation.offset + at;
            const size_t within = position % sector_size;
            const size_t length = std::min(sector_size - within, operation.bytes.size() - at);
            Sector& sector = disks[{operation.file, position / sector_size}];
            std::string next = sector.newest();
            next.replace(within, length, operation.bytes, at, length);
            sector.since.push_back(std::move(next));
            at += length;
        }
    }
    if (operation.kind == Operation::Kind::Sync || operation.kind == Operation::Kind::SyncAll) {
        for (auto& [place, sector] : disks) {
            if (operation.kind == Operation::Kind::SyncAll || place.first == operation.file) {
                sector.synced = sector.newest();
                sector.since.clear();
            }
        }
    }
}

// The work that is recorded: messages of different sizes through few slots, marks, retiring.
class Recorded {
public:
    Recorded() : disk(f.directory.path())
    {
        f.limits.create_batch = 1;
        f.limits.slot_size = 8192;
        f.limits.journal_size = 4096;
        f.start(&disk);
        const uint64_t first = send(sample_content(3000, 'a'), 2);
        mark(first, 0);
        retire(first);
        settle();
        const uint64_t second = send(sample_content(5000, 'b'), 1); // over the first
        const uint64_t third = send(sample_content(700, 'c'), 3);
        retire(second);
        mark(third, 1);
        settle();
        const uint64_t fourth = send(sample_content(1400, 'd'), 1); // over the second
        retire(fourth);
        settle();
        send(sample_content(20000, 'e'), 2); // larger than a slot, streamed
        for (int i = 0; i < 4; ++i) { // the journal comes round
            const uint64_t more = send(sample_content(2000, static_cast<char>('f' + i)), 20);
            for (uint32_t k = 0; k < 15; ++k)
                mark(more, k);
            settle();
            retire(more);
            settle();
        }
        f.stop();
    }

    PoolFixture f;
    RecordingDisk disk;
    std::map<std::string, Sent> sent;

private:
    void note(Operation::Kind kind, const std::string& id, uint32_t recipient = 0)
    {
        disk.add(Operation{kind, "", 0, "", id, recipient});
    }
    uint64_t send(const std::string& content, size_t recipients)
    {
        auto message = f.begin();
        note(Operation::Kind::Begin, message->id());
        mail::Envelope envelope = sample_envelope(recipients);
        sent[message->id()] = Sent{content, envelope};
        for (size_t at = 0; at < content.size(); at += 6000)
            REQUIRE(run_task(f.loop, message->append(std::string_view(content).substr(at, 6000))));
        REQUIRE(run_task(f.loop, message->commit(envelope, smtp::ContentFacts(), Deadline::never())));
        note(Operation::Kind::Acknowledged, message->id());
        const uint64_t number = *number_of(message->id());
        ids[number] = message->id();
        f.turn_until([&] { return f.pool->is_live(number, message->id()); });
        return number;
    }
    void mark(uint64_t number, uint32_t recipient)
    {
        note(Operation::Kind::Marked, ids[number], recipient);
        f.pool->mark(number, recipient, RecipientState::Delivered);
    }
    void retire(uint64_t number)
    {
        note(Operation::Kind::Retired, ids[number]);
        f.pool->retire(number);
        retired.push_back(ids[number]);
    }
    void settle()
    {
        f.settle();
        for (const std::string& id : std::exchange(retired, {}))
            note(Operation::Kind::RetiredForSure, id);
    }
    std::map<uint64_t, std::string> ids;
    std::vector<std::string> retired;
};

// What a qmgr has to find, and may find.
struct Expectation {
    std::set<std::string> must;
    std::set<std::string> may;
    std::set<std::pair<std::string, uint32_t>> marked;

    void learn(const Operation& operation)
    {
        switch (operation.kind) {
        case Operation::Kind::Begin:
            may.insert(operation.id);
            break;
        case Operation::Kind::Acknowledged:
            must.insert(operation.id);
            break;
        case Operation::Kind::Marked:
            marked.emplace(operation.id, operation.recipient);
            break;
        case Operation::Kind::Retired:
            must.erase(operation.id);
            break;
        case Operation::Kind::RetiredForSure:
            may.erase(operation.id);
            break;
        default:
            break;
        }
    }
};

// One disk after the cut: `choose` says which version of a sector is there, 0 the synced one.
template <class Choose>
void write_disk(const std::string& root, const Disks& disks, Choose choose)
{
    std::map<std::string, std::string> files;
    for (const auto& [place, sector] : disks) {
        std::string& bytes = files[place.first];
        const size_t at = place.second * sector_size;
        if (bytes.size() < at + sector_size)
            bytes.resize(at + sector_size, '\0');
        const size_t version = choose(sector.since.size());
        bytes.replace(at, sector_size, version == 0 ? sector.synced : sector.since[version - 1]);
    }
    for (const auto& [name, bytes] : files) {
        const std::string path = cat(root, '/', name);
        std::filesystem::create_directories(std::filesystem::path(path).parent_path());
        const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600));
        REQUIRE(pwrite_all(fd.get(), bytes, 0));
    }
}

// Starts a qmgr on it and compares.
template <class Choose>
void check_disk(const Recorded& recorded, const Disks& disks, const Expectation& expected, Choose choose)
{
    PoolFixture f;
    f.limits = recorded.f.limits;
    write_disk(f.directory.path(), disks, choose);
    f.start();
    std::set<std::string> found;
    for (const auto& arrived : f.listener.arrived) {
        const std::string& id = arrived.message.id();
        found.insert(id);
        REQUIRE(expected.may.count(id) == 1);
        const Sent& sent = recorded.sent.at(id);
        REQUIRE(arrived.message.envelope.recipients == sent.envelope.recipients);
        std::string content(sent.content.size(), '\0');
        const auto file = f.pool->open_message(arrived.message.number);
        REQUIRE(file);
        REQUIRE(pread_full(file->get(), content.data(), content.size(), arrived.message.content.offset));
        REQUIRE(content == sent.content);
        for (uint32_t i = 0; i < arrived.message.states.size(); ++i) {
            if (arrived.message.states[i] != RecipientState::Pending)
                REQUIRE(expected.marked.count({id, i}) == 1); // never done without a delivery
        }
    }
    REQUIRE(std::includes(found.begin(), found.end(), expected.must.begin(), expected.must.end()));
    REQUIRE(f.listener.damaged.empty()); // no false alarm for a person either
}

bool has_choice(const Disks& disks)
{
    return std::any_of(disks.begin(), disks.end(), [](const auto& entry) { return !entry.second.since.empty(); });
}

} // namespace

TEST_CASE("After a power cut at any moment every acknowledged message is found whole, and nothing else is")
{
    if (std::filesystem::exists("/dev/shm"))
        ::setenv("TMPDIR", "/dev/shm", 0); // only the order of operations matters here
    Recorded recorded;
    Disks disks;
    Expectation expected;
    std::mt19937 random(20261122);
    size_t cuts = 0;
    for (const Operation& operation : recorded.disk.operations) {
        apply(disks, operation);
        expected.learn(operation);
        const bool changes_disk = operation.kind <= Operation::Kind::SyncAll;
        if (!changes_disk)
            continue;
        check_disk(recorded, disks, expected, [](size_t) { return size_t{0}; });
        ++cuts;
        if (!has_choice(disks))
            continue;
        check_disk(recorded, disks, expected, [](size_t versions) { return versions; });
        for (int i = 0; i < random_cuts(); ++i) {
            check_disk(recorded, disks, expected, [&](size_t versions) { return random() % (versions + 1); });
            ++cuts;
        }
    }
    INFO("cuts: " << cuts);
    CHECK(cuts > 150);
}
