// Holders that lie, over the real protocol: a stranger may have taken over an smtpd. What it says of slots that are not
// its own is never believed, and ends its connection; a holder that is honest is not bothered by it.
#include "lib/event/task_group.h"
#include "lib/ipc/channel.h"
#include "lib/queue/lease_desk.h"
#include "t/unit/queue/pool_fixture.h"

#include <fcntl.h>
#include <filesystem>
#include <sys/socket.h>

using namespace posthouse;
using namespace posthouse::queue;
using namespace posthouse::test;

namespace {

// A holder without any scruples: sends the frames that the test makes up.
class Holder {
public:
    Holder(PoolFixture& fixture, LeaseDesk& desk, TaskGroup& tasks, std::vector<uint64_t> claims = {}) : f(fixture)
    {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
        tasks.spawn(desk.serve(std::make_unique<ipc::Channel>(f.loop, UniqueFd(ends[0]))));
        channel = std::make_unique<ipc::Channel>(f.loop, UniqueFd(ends[1]));
        LeaseHello hello;
        hello.role = "hostile";
        hello.held = std::move(claims);
        REQUIRE(channel->post(hello.to_frame()));
    }
    LeasedFile lease()
    {
        REQUIRE(channel->post(LeaseRequest(1).to_frame()));
        auto frame = run_task(f.loop, channel->receive(Deadline::after(Duration::seconds(5))));
        REQUIRE(frame);
        auto got = Lease::from_frame(*frame);
        REQUIRE(got);
        return LeasedFile(got->slots[0], std::move(frame->fds[0]));
    }
    void say(CommittedMessage message)
    {
        Committed committed;
        committed.messages.push_back(std::move(message));
        REQUIRE(channel->post(committed.to_frame()));
    }
    void give_back(uint64_t number, bool broken)
    {
        Dropped dropped;
        dropped.leases.emplace_back(number, broken);
        REQUIRE(channel->post(dropped.to_frame()));
    }
    bool is_cut_off()
    {
        auto frame = run_task(f.loop, channel->receive(Deadline::after(Duration::milliseconds(200))));
        return !frame && frame.error().kind() == ErrorKind::Disconnected;
    }
    PoolFixture& f;
    std::unique_ptr<ipc::Channel> channel;
};

class HostileFixture : public PoolFixture {
public:
    HostileFixture() { begin_life(); }
    ~HostileFixture() { end_life(); }
    void begin_life()
    {
        start();
        desk = std::make_unique<LeaseDesk>(*pool);
        tasks = std::make_unique<TaskGroup>(loop);
    }
    void end_life() // of qmgr
    {
        tasks.reset();
        desk.reset();
        stop();
    }
    Holder holder(std::vector<uint64_t> claims = {}) { return Holder(*this, *desk, *tasks, std::move(claims)); }

    std::unique_ptr<LeaseDesk> desk;
    std::unique_ptr<TaskGroup> tasks;
};

CommittedMessage invented(uint64_t number, int64_t id_us)
{
    CommittedMessage message;
    message.number = number;
    message.envelope = sample_envelope();
    message.envelope.sender = "liar@example.org";
    message.envelope.id = make_id(id_us, number);
    message.envelope.arrival_us = id_us;
    message.content = info_of("x\r\n");
    message.states_offset = 1000;
    return message;
}

// A whole message, written by the slot's holder.
CommittedMessage written(const LeasedFile& file)
{
    CommittedMessage message = invented(file.slot.number, std::max(file.slot.not_before_us, wall_clock_us()));
    message.envelope.sender = "honest@example.org";
    const CommitImage image = make_commit_image(message.number, *time_of(message.envelope.id), message.envelope, message.content);
    message.states_offset = image.tail_offset + image.tail.size() - 1;
    REQUIRE(write_commit(Disk::system(), file.file.get(), image, "x\r\n", header_size));
    return message;
}

} // namespace

TEST_CASE("A holder that commits a slot of another is cut off, and the other's message comes in as its own")
{
    HostileFixture f;
    Holder honest = f.holder();
    Holder liar = f.holder();
    LeasedFile file = honest.lease();
    liar.say(invented(file.slot.number, wall_clock_us()));
    CHECK(liar.is_cut_off());
    CHECK(f.listener.arrived.empty());
    CommittedMessage message = written(file);
    file.file.reset();
    honest.say(std::move(message));
    f.turn_until([&] { return f.listener.arrived.size() == 1; });
    CHECK(f.listener.arrived[0].message.envelope.sender == "honest@example.org");
    CHECK_FALSE(honest.is_cut_off());
}

TEST_CASE("A holder cannot claim another's lease from the qmgr that gave it")
{
    HostileFixture f;
    Holder honest = f.holder();
    LeasedFile file = honest.lease();
    Holder liar = f.holder({file.slot.number});
    liar.say(invented(file.slot.number, wall_clock_us()));
    CHECK(liar.is_cut_off());
    CHECK(f.listener.arrived.empty());
    CHECK(f.pool->counts().leased > 0);
    CommittedMessage message = written(file);
    file.file.reset();
    honest.say(std::move(message));
    f.turn_until([&] { return f.listener.arrived.size() == 1; });
    CHECK(f.listener.arrived[0].message.envelope.sender == "honest@example.org");
}

TEST_CASE("After a restart a holder that claims what another has locked changes nothing, and the other's claim still counts")
{
    const bool by_commit = GENERATE(true, false);
    HostileFixture f;
    Holder before = f.holder();
    LeasedFile file = before.lease();
    const uint64_t number = file.slot.number;
    f.end_life(); // qmgr is killed, the holder's process lives on
    f.limits.locked_recheck = Duration::seconds(100);
    f.begin_life();

    Holder liar = f.holder({number});
    if (by_commit)
        liar.say(invented(number, wall_clock_us()));
    else
        liar.give_back(number, true);
    f.turn(Duration::milliseconds(100));
    CHECK(f.listener.arrived.empty());
    CHECK(std::filesystem::exists(f.path(number))); // nor is it taken for broken
    liar.channel.reset();

    Holder honest = f.holder({number});
    CommittedMessage message = written(file);
    const std::string id = message.envelope.id;
    file.file.reset();
    honest.say(std::move(message));
    f.turn_until([&] { return f.listener.arrived.size() == 1; });
    CHECK(f.listener.arrived[0].message.id() == id);
    CHECK(f.listener.arrived[0].message.envelope.sender == "honest@example.org");
    CHECK_FALSE(honest.is_cut_off());
}

TEST_CASE("A holder that names a live message, a free slot or none at all is cut off, and nothing happens to the queue")
{
    const int which = GENERATE(0, 1, 2);
    const bool by_commit = GENERATE(true, false);
    HostileFixture f;
    const uint64_t live = f.queue_message(sample_content(100));
    const uint64_t done = f.queue_message(sample_content(100));
    f.pool->retire(done);
    f.settle();
    f.listener.arrived.clear();
    const uint64_t number = which == 0 ? live : which == 1 ? done : 471100;
    Holder liar = f.holder();
    if (by_commit)
        liar.say(invented(number, wall_clock_us()));
    else
        liar.give_back(number, true);
    CHECK(liar.is_cut_off());
    CHECK(f.listener.arrived.empty());
    CHECK(f.listener.damaged.empty());
    CHECK(f.pool->counts().live == 1);
    CHECK(std::filesystem::exists(f.path(live)));
    CHECK(std::filesystem::exists(f.path(done)));
}

TEST_CASE("A notice of one's own slot that contradicts it is not believed: the file tells what is in it")
{
    HostileFixture f;
    Holder liar = f.holder();
    LeasedFile file = liar.lease();
    CommittedMessage message = written(file);
    const std::string id = message.envelope.id;
    file.file.reset();
    const int which = GENERATE(0, 1, 2);
    if (which == 0) // an id of long ago
        message.envelope.id = make_id(file.slot.not_before_us - 1000000, file.slot.number);
    else if (which == 1) // of the year 2100
        message.envelope.id = make_id(4102444800 * int64_t{1000000}, file.slot.number);
    else
        message.states_offset = 3;
    liar.say(std::move(message));
    CHECK(liar.is_cut_off());
    f.turn_until([&] { return f.listener.arrived.size() == 1; });
    CHECK(f.listener.arrived[0].how == Arrival::Examined);
    CHECK(f.listener.arrived[0].message.id() == id);
}

TEST_CASE("A holder that comes back with a message that was found and whose slot has been leased again is not cut off")
{
    HostileFixture f;
    Holder before = f.holder();
    LeasedFile file = before.lease();
    const CommittedMessage message = written(file);
    file.file.reset();
    before.channel.reset(); // its notice was never sent
    f.turn_until([&] { return f.listener.arrived.size() == 1; });
    f.pool->retire(message.number);
    f.settle();
    std::vector<LeasedFile> others;
    Holder other = f.holder();
    for (int i = 0; i < 40 && (others.empty() || others.back().slot.number != message.number); ++i)
        others.push_back(other.lease());
    REQUIRE(others.back().slot.number == message.number);
    Holder again = f.holder({message.number});
    again.say(message);
    CHECK_FALSE(again.is_cut_off());
    CHECK(f.listener.arrived.size() == 1);
    CommittedMessage next = written(others.back());
    others.back().file.reset();
    other.say(std::move(next));
    f.turn_until([&] { return f.listener.arrived.size() == 2; });
}
