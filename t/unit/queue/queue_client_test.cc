// Holder and qmgr together: QueueClient and LeaseDesk over a UNIX socket.
#include "lib/queue/queue_client.h"

#include "lib/base/file.h"
#include "lib/ipc/channel.h"
#include "lib/queue/disk.h"
#include "lib/queue/lease_desk.h"
#include "t/unit/queue/pool_fixture.h"

#include <algorithm>
#include <future>
#include <optional>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::queue;
using namespace posthouse::test;

namespace {

// qmgr's listening socket and what it serves.
class Desk {
public:
    Desk(PoolFixture& fixture, const std::string& path) : f(fixture), desk(*fixture.pool), tasks(fixture.loop)
    {
        listener.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        ::unlink(path.c_str());
        REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(listener.get(), 16) == 0);
        watch = std::make_unique<Watch>(f.loop, listener.get());
        tasks.spawn(accept_all());
    }
    Task<void> accept_all()
    {
        while (true) {
            UniqueFd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
            if (connection)
                tasks.spawn(desk.serve(std::make_unique<ipc::Channel>(f.loop, std::move(connection))));
            else
                (void)co_await watch->readable(Deadline::never());
        }
    }
    PoolFixture& f;
    LeaseDesk desk;
    UniqueFd listener;
    std::unique_ptr<Watch> watch;
    TaskGroup tasks;
};

// The scan begins when holders have long come back.
class SlowSync final : public Disk {
public:
    ssize_t pwritev(int fd, const iovec* parts, int count, uint64_t offset) override
    {
        return system().pwritev(fd, parts, count, offset);
    }
    int fdatasync(int fd) override { return system().fdatasync(fd); }
    int syncfs(int fd) override
    {
        ::usleep(500000);
        return system().syncfs(fd);
    }
};

Task<void> scan_all(SlotPool& pool)
{
    const auto scanned = co_await pool.scan();
    CHECK(scanned);
}

class ClientFixture : public PoolFixture {
public:
    ClientFixture()
    {
        socket_path = directory.path() + "/qmgr";
        client_limits.reconnect_delay = Duration::milliseconds(10);
        client = std::make_unique<QueueClient>(loop, threads, socket_path, "test", client_limits);
        start_qmgr();
    }
    ~ClientFixture() { stop_qmgr(); }
    void start_qmgr()
    {
        start();
        desk = std::make_unique<Desk>(*this, socket_path);
    }
    void stop_qmgr() // as kill -9 does
    {
        desk.reset();
        stop();
    }
    std::unique_ptr<NewMessage> begin_by_client()
    {
        auto message = run_task(loop, client->begin(Deadline::after(Duration::seconds(5))));
        REQUIRE(message);
        return *std::move(message);
    }
    Result<void> commit(NewMessage& message, mail::Envelope envelope = sample_envelope())
    {
        return run_task(loop, message.commit(std::move(envelope), smtp::ContentFacts(), Deadline::never()));
    }
    std::string stored_content(const StoredMessage& message)
    {
        const auto file = pool->open_message(message.number);
        REQUIRE(file);
        std::string content(static_cast<size_t>(message.content.size), '\0');
        REQUIRE(pread_full(file->get(), content.data(), content.size(), message.content.offset));
        return content;
    }

    std::string socket_path;
    QueueClientLimits client_limits;
    std::unique_ptr<QueueClient> client;
    std::unique_ptr<Desk> desk;
};

} // namespace

TEST_CASE("A message that a holder commits is queued with its envelope and content")
{
    ClientFixture f;
    const size_t size = GENERATE(0, 100, 65536, 300000);
    const std::string content = sample_content(size);
    auto message = f.begin_by_client();
    for (size_t at = 0; at < content.size(); at += 8192)
        REQUIRE(run_task(f.loop, message->append(std::string_view(content).substr(at, 8192))));
    CHECK(message->size() == size);
    REQUIRE(f.commit(*message, sample_envelope(2)));
    f.turn_until([&] { return !f.listener.arrived.empty(); });
    const StoredMessage& stored = f.listener.arrived[0].message;
    CHECK(f.listener.arrived[0].how == Arrival::Noticed);
    CHECK(stored.id() == message->id());
    CHECK(stored.envelope.arrival_us == message->arrival_us());
    CHECK(stored.envelope.recipients.size() == 2);
    CHECK(f.stored_content(stored) == content);
    auto loaded = run_task(f.loop, f.pool->load(stored.number, Depth::WithContent));
    REQUIRE(loaded);
    CHECK(loaded->states_offset == stored.states_offset);
    f.turn_until([&] { return f.client->unfinished() == 0; });
}

TEST_CASE("A begun message that is dropped leaves nothing, and its slot is used for the next")
{
    ClientFixture f;
    auto dropped = f.begin_by_client();
    const std::string id = dropped->id();
    REQUIRE(run_task(f.loop, dropped->append(sample_content(20000))));
    dropped.reset();
    std::vector<std::unique_ptr<NewMessage>> next;
    bool found = false;
    for (int i = 0; i < 8; ++i) {
        next.push_back(f.begin_by_client());
        found = found || number_of(next.back()->id()) == number_of(id);
        CHECK(next.back()->id() != id);
    }
    CHECK(found);
    CHECK(f.listener.arrived.empty());
}

TEST_CASE("A large message that is dropped half-way leaves a free slot of the usual size")
{
    ClientFixture f;
    auto dropped = f.begin_by_client();
    const uint64_t number = *number_of(dropped->id());
    REQUIRE(run_task(f.loop, dropped->append(sample_content(200000))));
    dropped.reset();
    f.turn_until([&] { return std::filesystem::file_size(f.path(number)) == f.limits.slot_size; });
    CHECK(f.listener.arrived.empty());
}

TEST_CASE("Many messages at a time are committed side by side")
{
    ClientFixture f;
    constexpr size_t count = 200;
    size_t committed = 0;
    TaskGroup tasks(f.loop);
    const auto session = [](ClientFixture& fixture, size_t& done) -> Task<void> {
        auto message = co_await fixture.client->begin(Deadline::after(Duration::seconds(5)));
        if (!message)
            co_return;
        const std::string content = sample_content(4096);
        (void)co_await (*message)->append(content);
        auto result = co_await (*message)->commit(sample_envelope(), smtp::ContentFacts(), Deadline::never());
        done += result ? 1 : 0;
    };
    for (size_t i = 0; i < count; ++i)
        tasks.spawn(session(f, committed));
    f.turn_until([&] { return committed == count && f.listener.arrived.size() == count; });
    std::vector<std::string> ids;
    for (const auto& arrived : f.listener.arrived)
        ids.push_back(arrived.message.id());
    std::sort(ids.begin(), ids.end());
    CHECK(std::unique(ids.begin(), ids.end()) == ids.end());
}

TEST_CASE("Leases and commits survive a restart of qmgr")
{
    ClientFixture f;
    auto before = f.begin_by_client();
    auto during = f.begin_by_client();
    f.stop_qmgr();
    f.turn_until([&] { return !f.client->connected(); });
    REQUIRE(f.commit(*during)); // durable without qmgr
    const bool restarted_with_lock_held = GENERATE(false, true);
    if (!restarted_with_lock_held)
        REQUIRE(f.commit(*before));
    f.start_qmgr();
    f.turn_until([&] { return f.client->connected(); });
    f.turn(Duration::milliseconds(100));
    if (restarted_with_lock_held)
        REQUIRE(f.commit(*before));
    f.turn_until([&] { return f.listener.arrived.size() >= 2; });
    f.turn(Duration::milliseconds(100));
    CHECK(f.listener.arrived.size() == 2);
    CHECK(f.client->unfinished() == 0);
}

TEST_CASE("What a holder told a qmgr that died is what the next one looks into first")
{
    SlowSync disk;
    ClientFixture f;
    for (int i = 0; i < 20; ++i)
        f.queue_message("old\r\n");
    auto told = f.begin_by_client();
    const std::string id = told->id();
    REQUIRE(f.commit(*told));
    f.turn_until([&] { return f.listener.arrived.size() == 21; });
    f.stop_qmgr();
    TaskGroup scan(f.loop);
    f.listener = RecordingListener();
    f.open_pool(&disk);
    scan.spawn(scan_all(*f.pool));
    f.desk = std::make_unique<Desk>(f, f.socket_path);
    f.turn_until([&] { return !f.listener.arrived.empty(); });
    CHECK(f.listener.arrived[0].message.id() == id);
    f.turn_until([&] { return scan.size() == 0; });
    CHECK(f.listener.arrived.size() == 21);
}

TEST_CASE("begin fails with 4.3.0 when there is no qmgr in time")
{
    ClientFixture f;
    f.stop_qmgr();
    QueueClient other(f.loop, f.threads, f.socket_path, "other", f.client_limits);
    const auto message = run_task(f.loop, other.begin(Deadline::after(Duration::milliseconds(50))));
    REQUIRE_FALSE(message);
    CHECK(message.error().dsn() == "4.3.0");
    CHECK_FALSE(message.error().permanent());
}

TEST_CASE("begin fails with 4.3.1 at once when the disk is low, and works again when it is not")
{
    ClientFixture f;
    f.stop_qmgr();
    f.limits.min_free = UINT64_MAX;
    f.start_qmgr();
    const auto message = run_task(f.loop, f.client->begin(Deadline::after(Duration::seconds(5))));
    REQUIRE_FALSE(message);
    CHECK(message.error().dsn() == "4.3.1");
    f.stop_qmgr();
    f.limits.min_free = 0;
    f.start_qmgr();
    f.turn(Duration::milliseconds(1100));
    CHECK(f.begin_by_client());
}

TEST_CASE("A stopping qmgr gives no leases but takes the commits of those that are out")
{
    ClientFixture f;
    auto message = f.begin_by_client();
    f.desk->desk.stop();
    std::optional<Error> refused;
    std::vector<std::unique_ptr<NewMessage>> others;
    while (!refused) {
        auto other = run_task(f.loop, f.client->begin(Deadline::after(Duration::seconds(5))));
        if (other)
            others.push_back(*std::move(other));
        else
            refused = other.error();
    }
    CHECK(refused->dsn() == "4.3.2");
    REQUIRE(f.commit(*message));
    f.turn_until([&] { return f.listener.arrived.size() == 1; });
}

TEST_CASE("A commit whose session is gone is queued all the same")
{
    ClientFixture f;
    auto message = f.begin_by_client();
    std::promise<void> gate;
    const std::shared_future<void> opened = gate.get_future().share();
    for (int i = 0; i < 4; ++i) // every thread is busy
        f.threads.submit([opened] { opened.wait(); }, [] {});
    {
        TaskGroup session(f.loop);
        const auto work = [](NewMessage& its_message) -> Task<void> {
            (void)co_await its_message.commit(sample_envelope(), smtp::ContentFacts(), Deadline::never());
        };
        session.spawn(work(*message));
        CHECK(f.client->unfinished() == 1);
    } // cancelled while the commit waits for the disk
    message.reset();
    gate.set_value();
    f.turn_until([&] { return f.listener.arrived.size() == 1; });
    f.turn_until([&] { return f.client->unfinished() == 0; });
}

TEST_CASE("A message with a very large envelope is found in its file")
{
    ClientFixture f;
    auto message = f.begin_by_client();
    REQUIRE(f.commit(*message, sample_envelope(40000)));
    f.turn_until([&] { return !f.listener.arrived.empty(); });
    CHECK(f.listener.arrived[0].how == Arrival::Examined);
    CHECK(f.listener.arrived[0].message.envelope.recipients.size() == 40000);
}

TEST_CASE("A holder that breaks the protocol is dropped and its leases come back")
{
    ClientFixture f;
    auto channel = run_task(f.loop, ipc::connect(f.loop, f.socket_path, Deadline::after(Duration::seconds(5))));
    REQUIRE(channel);
    const LeaseHello hello;
    REQUIRE((*channel)->post(hello.to_frame()));
    REQUIRE((*channel)->post(LeaseRequest(3).to_frame()));
    auto lease = run_task(f.loop, (*channel)->receive(Deadline::after(Duration::seconds(5))));
    REQUIRE(lease);
    REQUIRE(f.pool->counts().leased >= 1);
    REQUIRE((*channel)->post(ipc::Frame(0x7777, "junk")));
    const auto end = run_task(f.loop, (*channel)->receive(Deadline::after(Duration::seconds(5))));
    CHECK_FALSE(end);
    f.turn_until([&] { return f.pool->counts().leased == 0; });
}

TEST_CASE("queue_lease_limit says how many slots a holder keeps in hand")
{
    std::vector<config::Fault> faults;
    auto config = config::Config::parse("queue_lease_limit = 2\n", config::Overrides(), faults);
    REQUIRE(config);
    const QueueClientLimits limits(**config);
    CHECK(limits.most_leases == 2);
    CHECK(limits.fewest_leases == 2);
}
