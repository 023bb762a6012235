// Frames between programs: whole, in order, with their descriptors, and bounded.
#include "lib/ipc/channel.h"
#include "lib/ipc/codec.h"
#include "t/support/catch.h"
#include "t/support/run_task.h"

#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace posthouse;
using posthouse::test::run_task;

namespace {

struct Ends {
    explicit Ends(Loop& its_loop, ipc::ChannelLimits limits = ipc::ChannelLimits()) : loop(its_loop)
    {
        int fds[2];
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        a = std::make_unique<ipc::Channel>(loop, UniqueFd(fds[0]), limits);
        raw = fds[1];
    }
    // The other end as a Channel; else it stays a descriptor for bytes that no Channel would send.
    ipc::Channel& other(ipc::ChannelLimits limits = ipc::ChannelLimits())
    {
        b = std::make_unique<ipc::Channel>(loop, UniqueFd(std::exchange(raw, -1)), limits);
        return *b;
    }
    ~Ends()
    {
        if (raw >= 0)
            ::close(raw);
    }
    Loop& loop;
    std::unique_ptr<ipc::Channel> a;
    std::unique_ptr<ipc::Channel> b;
    int raw = -1;
};

Deadline soon() { return Deadline::after(Duration::seconds(5)); }

ipc::Frame with_pipe_end(uint16_t type, std::string body, UniqueFd& other_end)
{
    int fds[2];
    REQUIRE(pipe(fds) == 0);
    other_end.reset(fds[0]);
    ipc::Frame frame(type, std::move(body));
    frame.fds.push_back(UniqueFd(fds[1]));
    return frame;
}

std::string header(uint32_t length, uint16_t type, uint16_t fds)
{
    ipc::Writer out;
    out.u32(length);
    out.u16(type);
    out.u16(fds);
    return out.take();
}

} // namespace

TEST_CASE("frames arrive whole and in order, however many are posted in one turn")
{
    Loop loop;
    Ends ends(loop);
    ipc::Channel& other = ends.other();
    for (uint16_t i = 0; i < 1000; ++i)
        REQUIRE(ends.a->post(ipc::Frame(i, std::string(i, 'x'))));
    for (uint16_t i = 0; i < 1000; ++i) {
        auto frame = run_task(loop, other.receive(soon()));
        REQUIRE(frame);
        REQUIRE(frame->type == i);
        REQUIRE(frame->body.size() == i);
    }
}

TEST_CASE("a frame that arrives byte by byte is the same frame")
{
    Loop loop;
    Ends ends(loop);
    const std::string bytes = header(5, 7, 0) + "hello";
    for (const char byte : bytes) {
        auto early = run_task(loop, ends.a->receive(Deadline::after(Duration())));
        REQUIRE_FALSE(early);
        CHECK(early.error().kind() == ErrorKind::TimedOut);
        REQUIRE(::send(ends.raw, &byte, 1, 0) == 1);
    }
    auto frame = run_task(loop, ends.a->receive(soon()));
    REQUIRE(frame);
    CHECK(frame->type == 7);
    CHECK(frame->body == "hello");
}

TEST_CASE("descriptors arrive with the frame they were sent with, between frames that have none")
{
    Loop loop;
    Ends ends(loop);
    ipc::Channel& other = ends.other();
    UniqueFd readers[3];
    for (uint16_t i = 0; i < 3; ++i) {
        REQUIRE(ends.a->post(ipc::Frame(100, "plain")));
        REQUIRE(ends.a->post(with_pipe_end(i, "with one", readers[i])));
    }
    for (uint16_t i = 0; i < 3; ++i) {
        auto plain = run_task(loop, other.receive(soon()));
        REQUIRE(plain);
        CHECK(plain->fds.empty());
        auto frame = run_task(loop, other.receive(soon()));
        REQUIRE(frame);
        REQUIRE(frame->type == i);
        REQUIRE(frame->fds.size() == 1);
        const char digit = static_cast<char>('0' + i);
        REQUIRE(::write(frame->fds[0].get(), &digit, 1) == 1);
        char read_back = 0;
        REQUIRE(::read(readers[i].get(), &read_back, 1) == 1);
        CHECK(read_back == digit);
    }
}

TEST_CASE("a descriptor that this process may not open is missing from its frame, and from no other")
{
    Loop loop;
    Ends ends(loop);
    ipc::Channel& other = ends.other();
    UniqueFd readers[2];
    REQUIRE(ends.a->post(ipc::Frame(100, "plain")));
    REQUIRE(ends.a->post(with_pipe_end(1, "lost", readers[0])));
    REQUIRE(ends.a->post(with_pipe_end(2, "kept", readers[1])));
    ends.a->flush_now();
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int lowest_free = ::dup(STDIN_FILENO);
    ::close(lowest_free);
    rlimit none_left = before;
    none_left.rlim_cur = static_cast<rlim_t>(lowest_free);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none_left) == 0);
    auto plain = run_task(loop, other.receive(soon()));
    auto lost = run_task(loop, other.receive(soon()));
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    REQUIRE(plain);
    CHECK(plain->fds.empty());
    REQUIRE(lost);
    CHECK(lost->body == "lost");
    REQUIRE(lost->fds.size() == 1);
    CHECK_FALSE(lost->fds[0]);
    auto kept = run_task(loop, other.receive(soon()));
    REQUIRE(kept);
    REQUIRE(kept->fds.size() == 1);
    CHECK(kept->fds[0]);
}

TEST_CASE("a length above the limit ends the connection before its bytes are read")
{
    Loop loop;
    Ends ends(loop, ipc::ChannelLimits(1000, 4));
    const std::string bytes = header(1001, 1, 0);
    REQUIRE(::send(ends.raw, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    auto frame = run_task(loop, ends.a->receive(soon()));
    REQUIRE_FALSE(frame);
    CHECK(frame.error().kind() == ErrorKind::Corrupt);
}

TEST_CASE("a frame that promises descriptors and brings none is corrupt")
{
    Loop loop;
    Ends ends(loop);
    const std::string bytes = header(1, 1, 1) + "x";
    REQUIRE(::send(ends.raw, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    auto frame = run_task(loop, ends.a->receive(soon()));
    REQUIRE_FALSE(frame);
    CHECK(frame.error().kind() == ErrorKind::Corrupt);
}

TEST_CASE("a peer that goes away in the middle of a frame is a disconnection")
{
    Loop loop;
    Ends ends(loop);
    const std::string bytes = header(100, 1, 0) + "half";
    REQUIRE(::send(ends.raw, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    ::close(std::exchange(ends.raw, -1));
    auto frame = run_task(loop, ends.a->receive(soon()));
    REQUIRE_FALSE(frame);
    CHECK(frame.error().kind() == ErrorKind::Disconnected);
}

TEST_CASE("a sender can wait until a slow reader has taken enough")
{
    Loop loop;
    Ends ends(loop);
    ipc::Channel& other = ends.other();
    const std::string body(100000, 'x');
    for (int i = 0; i < 50; ++i)
        REQUIRE(ends.a->post(ipc::Frame(1, body)));
    CHECK(ends.a->queued() > 1000000);
    auto early = run_task(loop, ends.a->wait_below(1000, Deadline::after(Duration::milliseconds(10))));
    CHECK_FALSE(early);
    for (int i = 0; i < 50; ++i)
        REQUIRE(run_task(loop, other.receive(soon())));
    CHECK(run_task(loop, ends.a->wait_below(1000, soon())));
}

TEST_CASE("more than the limit cannot be queued")
{
    Loop loop;
    ipc::ChannelLimits limits;
    limits.max_queued = 1 << 20;
    Ends ends(loop, limits);
    bool refused = false;
    for (int i = 0; i < 100 && !refused; ++i)
        refused = !ends.a->post(ipc::Frame(1, std::string(100000, 'x')));
    CHECK(refused);
}

TEST_CASE("reading fields never goes beyond the bytes, and one fault fails the whole")
{
    ipc::Writer out;
    out.u16(513);
    out.string("text");
    out.boolean(true);
    const std::string bytes = out.take();
    ipc::Reader good(bytes);
    CHECK(good.u16() == 513);
    CHECK(good.string() == "text");
    CHECK(good.boolean());
    CHECK(good.ok_and_finished());
    for (size_t cut = 0; cut < bytes.size(); ++cut) {
        ipc::Reader reader(std::string_view(bytes).substr(0, cut));
        reader.u16();
        (void)reader.string();
        reader.boolean();
        CHECK_FALSE(reader.ok_and_finished());
    }
}

TEST_CASE("a string above its limit, a boolean of 2 and bytes that are left over are faults")
{
    ipc::Writer out;
    out.string("longer");
    ipc::Reader limited(out.bytes());
    (void)limited.string(5);
    CHECK_FALSE(limited.ok());
    ipc::Reader two("\x02");
    two.boolean();
    CHECK_FALSE(two.ok());
    ipc::Reader more("ab");
    more.u8();
    CHECK(more.ok());
    CHECK_FALSE(more.ok_and_finished());
}

TEST_CASE("a count that the rest cannot hold is a fault, not a reason to reserve memory")
{
    ipc::Writer out;
    out.u32(1000000);
    ipc::Reader reader(out.bytes());
    CHECK(reader.count(2000000, 4) == 0);
    CHECK_FALSE(reader.ok());
}

TEST_CASE("what cannot be posted ends the connection for both, after what has come before")
{
    Loop loop;
    Ends ends(loop, ipc::ChannelLimits(100, 4));
    ipc::Channel& other = ends.other();
    REQUIRE(ends.a->post_or_end(ipc::Frame(1, "small")));
    REQUIRE(other.post(ipc::Frame(2, "on its way")));
    other.flush_now();
    CHECK_FALSE(ends.a->post_or_end(ipc::Frame(3, std::string(101, 'x'))));
    CHECK_FALSE(ends.a->post(ipc::Frame(4, "more")));
    auto received = run_task(loop, ends.a->receive(soon()));
    REQUIRE(received);
    CHECK(received->type == 2);
    received = run_task(loop, ends.a->receive(soon()));
    REQUIRE_FALSE(received);
    CHECK(received.error().text().find("101 bytes") != std::string::npos);
    auto at_the_other = run_task(loop, other.receive(soon()));
    REQUIRE_FALSE(at_the_other);
    CHECK(at_the_other.error().kind() == ErrorKind::Disconnected);
}
