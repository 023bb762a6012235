// Frames from a peer that may send anything: what a Channel takes is within its limits, and what it does
// not take ends the connection. The fields of each body are then read in every way there is.
#include "lib/event/loop.h"
#include "lib/ipc/channel.h"
#include "lib/ipc/codec.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <sys/socket.h>

using namespace posthouse;

namespace {

constexpr size_t most_body = 1024;

void read_fields(const std::string& body)
{
    ipc::Reader in(body);
    while (in.ok() && in.remaining() > 0) {
        switch (in.u8() % 8) {
        case 0: in.u16(); break;
        case 1: in.u32(); break;
        case 2: in.u64(); break;
        case 3: in.i64(); break;
        case 4: in.boolean(); break;
        case 5:
            if (in.string(100).size() > 100)
                abort();
            break;
        case 6:
            if (in.count(1000, 4) * size_t(4) > in.remaining())
                abort();
            break;
        default: in.u8();
        }
    }
    if (!in.ok() && (in.u64() != 0 || !in.string().empty() || in.ok_and_finished()))
        abort();
}

Task<void> take_all(ipc::Channel& channel)
{
    while (true) {
        auto frame = co_await channel.receive(Deadline::after(Duration::seconds(5)));
        if (!frame) {
            if (frame.error().kind() == ErrorKind::TimedOut)
                abort();
            co_return;
        }
        if (frame->body.size() > most_body || !frame->fds.empty())
            abort();
        read_fields(frame->body);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        abort();
    UniqueFd peer(pair[0]);
    Loop loop;
    ipc::Channel channel(loop, UniqueFd(pair[1]), ipc::ChannelLimits(most_body, 4));
    if (size > 0 && ::send(peer.get(), data, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return 0;
    peer.reset();
    TaskGroup tasks(loop);
    tasks.spawn(take_all(channel));
    while (tasks.size() > 0)
        loop.run_once(Duration::milliseconds(10));
    return 0;
}
