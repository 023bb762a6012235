// See peers.h.
#include "t/bench/peers.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/event/task_group.h"
#include "t/bench/line.h"

#include <arpa/inet.h>
#include <cstdio>
#include <cstring>
#include <netinet/tcp.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace posthouse::bench {

namespace {

struct Counts {
    long connections = 0;
    long messages = 0;
    long recipients = 0;
    long bytes = 0;
    Instant last;
};

Task<void> sink_session(Loop& loop, UniqueFd fd, Counts& counts)
{
    Line line(loop, std::move(fd));
    ++counts.connections;
    bool written = co_await line.write("220 sink ESMTP\r\n");
    if (!written)
        co_return;
    while (auto command = co_await line.read()) {
        std::string answer = "250 2.0.0 Ok\r\n";
        if (ascii::starts_with(*command, "EHLO"))
            answer = "250-sink\r\n250-PIPELINING\r\n250-SIZE 100000000\r\n250 8BITMIME\r\n";
        else if (ascii::starts_with(*command, "RCPT"))
            ++counts.recipients;
        else if (ascii::starts_with(*command, "DATA"))
            answer = "354 go\r\n";
        else if (ascii::starts_with(*command, "QUIT"))
            answer = "221 bye\r\n";
        const bool data = answer[0] == '3';
        const bool quit = answer == "221 bye\r\n";
        written = co_await line.write(std::move(answer));
        if (!written || quit)
            co_return;
        if (!data)
            continue;
        const long size = co_await line.content();
        if (size < 0)
            co_return;
        ++counts.messages;
        counts.bytes += size;
        counts.last = Instant::now();
        written = co_await line.write("250 2.0.0 Ok\r\n");
        if (!written)
            co_return;
    }
}

using Serve = Task<void> (*)(Loop& loop, UniqueFd fd, Counts& counts);

Task<void> accept_all(Loop& loop, int listener, Watch& watch, TaskGroup& group, Counts& counts, Serve serve)
{
    while (true) {
        UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (fd) {
            const int on = 1;
            ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            group.spawn(serve(loop, std::move(fd), counts));
            continue;
        }
        (void)co_await watch.readable(Deadline::never());
    }
}

Task<void> report_on_request(Watch& input, Counts& counts, Loop& loop)
{
    char line[64];
    while (true) {
        (void)co_await input.readable(Deadline::never());
        const ssize_t got = ::read(STDIN_FILENO, line, sizeof line);
        if (got == 0)
            break;
        if (got < 0)
            continue;
        printf("{\"connections\": %ld, \"messages\": %ld, \"recipients\": %ld, \"bytes\": %ld, \"last_ns\": %lld}\n",
               counts.connections, counts.messages, counts.recipients, counts.bytes,
               static_cast<long long>(counts.last.ns()));
        fflush(stdout);
    }
    loop.stop();
}

// A milter that wants to see everything, and has nothing against it.
Task<void> milter_session(Loop& loop, UniqueFd fd, Counts& counts)
{
    Line line(loop, std::move(fd));
    ++counts.connections;
    while (true) {
        auto head = co_await line.bytes(4);
        if (!head)
            co_return;
        uint32_t size = 0;
        std::memcpy(&size, head->data(), sizeof size);
        size = ntohl(size);
        auto packet = co_await line.bytes(size);
        if (!packet || packet->empty())
            co_return;
        const char command = packet->front();
        if (command == 'Q')
            co_return;
        if (command == 'D' || command == 'A' || command == 'K') // macros, abort, another connection
            continue;
        std::string answer("\0\0\0\1c", 5);
        if (command == 'O')
            answer = std::string("\0\0\0\15O\0\0\0\6\0\0\0\0\0\0\0\0", 17); // version 6, no actions, every step
        if (command == 'E') {
            ++counts.messages;
            counts.last = Instant::now();
        }
        const bool written = co_await line.write(std::move(answer));
        if (!written)
            co_return;
    }
}

int run_peer(uint16_t port, Serve serve)
{
    const UniqueFd listener = listen_on(port);
    if (!listener)
        return 1;
    Loop loop;
    Counts counts;
    Watch accepting(loop, listener.get());
    Watch input(loop, STDIN_FILENO);
    TaskGroup group(loop);
    group.spawn(accept_all(loop, listener.get(), accepting, group, counts, serve));
    group.spawn(report_on_request(input, counts, loop));
    loop.run();
    return 0;
}

} // namespace

int run_sink(uint16_t port)
{
    return run_peer(port, sink_session);
}

int run_milter(uint16_t port)
{
    return run_peer(port, milter_session);
}

} // namespace posthouse::bench
