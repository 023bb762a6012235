// load and sink: the two ends of a benchmark, each one process, one thread, one line of JSON.
//   mailbench load PORT [messages sessions size per-connection recipients template]
//   mailbench idle PORT sessions      opens them, says EHLO, prints a line, holds until standard input ends
//   mailbench sink PORT               accepts everything; a line on standard input asks for the counts
// In the template %m is the message's number, %u that modulo 10, %r the recipient's, %d that modulo 10.
#include "lib/base/ascii.h"
#include "lib/event/byte_stream.h"
#include "lib/event/task_group.h"
#include "lib/log/log.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <vector>

using namespace posthouse;

namespace {

const Duration patience = Duration::seconds(60);

struct Counts {
    long connections = 0;
    long messages = 0;
    long recipients = 0;
    long bytes = 0;
    long failed = 0;
    Instant first;
    Instant last;
    std::vector<double> latencies_ms; // from connect (or MAIL) to the reply to the final dot
};

struct Work {
    uint16_t port = 0;
    long messages = 1000;
    long sessions = 20;
    long per_connection = 1; // 0: no limit
    long recipients = 1;
    std::string recipient_template = "user%m@example.net";
    std::string content;
    long started = 0;
};

sockaddr_in loopback(uint16_t port)
{
    sockaddr_in address = sockaddr_in();
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

std::string fill(const std::string& text, long message, long recipient)
{
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%' || i + 1 == text.size()) {
            out += text[i];
            continue;
        }
        switch (text[++i]) {
        case 'm': append_to(out, message); break;
        case 'u': append_to(out, message % 10); break;
        case 'r': append_to(out, recipient); break;
        case 'd': append_to(out, recipient % 10); break;
        default: out += text[i];
        }
    }
    return out;
}

// Lines over a socket, as few system calls as both sides allow.
class Line {
public:
    Line(Loop& loop, UniqueFd fd) : socket_(loop, std::move(fd)) {}
    Socket& socket() { return socket_; }

    Task<bool> write(std::string text)
    {
        auto written = co_await socket_.write_all(text, Deadline::after(patience));
        co_return static_cast<bool>(written);
    }
    // Without the line end; nullopt at the end of the connection.
    Task<std::optional<std::string>> read()
    {
        while (true) {
            const size_t end = buffer_.find('\n', scanned_);
            if (end != std::string::npos) {
                std::string line = buffer_.substr(start_, end - start_);
                start_ = scanned_ = end + 1;
                co_return line;
            }
            const bool got = co_await more();
            if (!got)
                co_return std::nullopt;
        }
    }
    // The last line's code of a reply, or 0.
    Task<int> reply()
    {
        while (true) {
            auto line = co_await read();
            if (!line || line->size() < 3)
                co_return 0;
            if (line->size() == 3 || (*line)[3] != '-')
                co_return atoi(line->c_str());
        }
    }
    // The code of the reply to what is sent, or 0.
    Task<int> ask(std::string text)
    {
        const bool sent = co_await write(std::move(text));
        if (!sent)
            co_return 0;
        co_return co_await reply();
    }
    // Message content up to the final dot; its size, or -1.
    Task<long> content()
    {
        long size = 0;
        std::string tail = "\r\n"; // the last bytes seen, so that a lone dot at the start counts
        while (true) {
            std::string piece = buffer_.substr(start_);
            start_ = buffer_.size();
            tail += piece;
            const size_t end = tail.find("\r\n.\r\n");
            if (end != std::string::npos) {
                buffer_ = tail.substr(end + 5);
                start_ = scanned_ = 0;
                co_return size + static_cast<long>(end);
            }
            const size_t keep = std::min<size_t>(tail.size(), 4);
            size += static_cast<long>(tail.size() - keep);
            tail.erase(0, tail.size() - keep);
            const bool got = co_await more();
            if (!got)
                co_return -1;
        }
    }

private:
    Task<bool> more()
    {
        buffer_.erase(0, start_);
        scanned_ = buffer_.size();
        start_ = 0;
        const size_t before = buffer_.size();
        buffer_.resize(before + 65536);
        auto got = co_await socket_.read_some(buffer_.data() + before, 65536, Deadline::after(patience));
        buffer_.resize(before + (got ? *got : 0));
        co_return got && *got > 0;
    }

    Socket socket_;
    std::string buffer_;
    size_t start_ = 0;
    size_t scanned_ = 0;
};

Task<std::unique_ptr<Line>> connect_line(Loop& loop, uint16_t port)
{
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    const int raw = fd.get();
    auto line = std::make_unique<Line>(loop, std::move(fd));
    if (::connect(raw, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        if (errno != EINPROGRESS)
            co_return nullptr;
        const auto ready = co_await line->socket().watch()->writable(Deadline::after(patience));
        if (ready == Watch::Ready::TimedOut)
            co_return nullptr;
    }
    int code = co_await line->reply();
    if (code != 220)
        co_return nullptr;
    code = co_await line->ask("EHLO bench.example.org\r\n");
    if (code != 250)
        co_return nullptr;
    co_return line;
}

Task<bool> send_message(Line& line, const Work& work, long number)
{
    int code = co_await line.ask("MAIL FROM:<sender@bench.example.org>\r\n");
    if (code != 250)
        co_return false;
    for (long r = 0; r < work.recipients; ++r) {
        std::string command = cat("RCPT TO:<", fill(work.recipient_template, number, r), ">\r\n");
        code = co_await line.ask(std::move(command));
        if (code != 250)
            co_return false;
    }
    code = co_await line.ask("DATA\r\n");
    if (code != 354)
        co_return false;
    code = co_await line.ask(work.content);
    co_return code == 250;
}

Task<void> client(Loop& loop, Work& work, Counts& counts)
{
    while (work.started < work.messages) {
        Instant begin = Instant::now();
        if (counts.first == Instant())
            counts.first = begin;
        auto line = co_await connect_line(loop, work.port);
        ++counts.connections;
        for (long sent = 0; line && work.started < work.messages; ++sent) {
            if (work.per_connection && sent == work.per_connection)
                break;
            const long number = work.started++;
            const bool accepted = co_await send_message(*line, work, number);
            if (!accepted) {
                ++counts.failed;
                line.reset();
                break;
            }
            ++counts.messages;
            counts.last = Instant::now();
            counts.latencies_ms.push_back((counts.last - begin).as_seconds() * 1000);
            begin = counts.last;
        }
        if (!line) {
            if (counts.messages + counts.failed == work.started && ++work.started > 0)
                ++counts.failed; // could not even connect
            continue;
        }
        (void)co_await line->ask("QUIT\r\n");
    }
}

double percentile(std::vector<double>& values, double which)
{
    if (values.empty())
        return 0;
    const auto at = static_cast<size_t>(which * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), values.begin() + static_cast<long>(at), values.end());
    return values[at];
}

Task<void> drained(TaskGroup& group, Loop& loop)
{
    co_await group.drained();
    loop.stop();
}

int run_load(Work work, size_t size)
{
    work.content = "From: sender@bench.example.org\r\nTo: somebody@example.net\r\nSubject: load\r\n\r\n";
    const std::string text(76, 'x');
    while (work.content.size() + 80 < size)
        append_to(work.content, text, "\r\n");
    work.content += ".\r\n";
    Loop loop;
    Counts counts;
    TaskGroup group(loop);
    TaskGroup waiter(loop);
    for (long i = 0; i < work.sessions; ++i)
        group.spawn(client(loop, work, counts));
    waiter.spawn(drained(group, loop));
    loop.run();
    printf("{\"accepted\": %ld, \"failed\": %ld, \"wall\": %.4f, \"first_ns\": %lld, \"p50_ms\": %.2f, \"p99_ms\": %.2f}\n",
           counts.messages, counts.failed, (counts.last - counts.first).as_seconds(),
           static_cast<long long>(counts.first.ns()), percentile(counts.latencies_ms, 0.5),
           percentile(counts.latencies_ms, 0.99));
    return counts.failed ? 1 : 0;
}

Task<void> hold_one(Loop& loop, uint16_t port, std::unique_ptr<Line>& into)
{
    into = co_await connect_line(loop, port);
}

int run_idle(uint16_t port, long sessions)
{
    Loop loop;
    std::vector<std::unique_ptr<Line>> lines(static_cast<size_t>(sessions));
    const Instant begin = Instant::now();
    // A hundred at a time: a listener's backlog is finite.
    for (size_t next = 0; next < lines.size();) {
        TaskGroup group(loop);
        TaskGroup waiter(loop);
        for (size_t n = 0; n < 100 && next < lines.size(); ++n)
            group.spawn(hold_one(loop, port, lines[next++]));
        waiter.spawn(drained(group, loop));
        loop.run();
    }
    const auto open = std::count_if(lines.begin(), lines.end(), [](const auto& line) { return line != nullptr; });
    printf("{\"sessions\": %ld, \"wall\": %.3f}\n", static_cast<long>(open), (Instant::now() - begin).as_seconds());
    fflush(stdout);
    while (getchar() != EOF)
        ;
    return 0;
}

// ---- the sink

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

Task<void> accept_all(Loop& loop, int listener, Watch& watch, TaskGroup& group, Counts& counts)
{
    while (true) {
        UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (fd) {
            const int on = 1;
            ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            group.spawn(sink_session(loop, std::move(fd), counts));
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

int run_sink(uint16_t port)
{
    UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener.get(), 1024) != 0) {
        perror("sink");
        return 1;
    }
    Loop loop;
    Counts counts;
    Watch accepting(loop, listener.get());
    Watch input(loop, STDIN_FILENO);
    TaskGroup group(loop);
    group.spawn(accept_all(loop, listener.get(), accepting, group, counts));
    group.spawn(report_on_request(input, counts, loop));
    loop.run();
    return 0;
}

long number(int argc, char** argv, int at, long otherwise) { return at < argc ? atol(argv[at]) : otherwise; }

} // namespace

int main(int argc, char** argv)
{
    const std::string_view what = argc > 2 ? argv[1] : "";
    const auto port = static_cast<uint16_t>(number(argc, argv, 2, 0));
    if (what == "sink")
        return run_sink(port);
    if (what == "idle")
        return run_idle(port, number(argc, argv, 3, 1000));
    if (what == "load") {
        Work work;
        work.port = port;
        work.messages = number(argc, argv, 3, work.messages);
        work.sessions = number(argc, argv, 4, work.sessions);
        work.per_connection = number(argc, argv, 6, work.per_connection);
        work.recipients = number(argc, argv, 7, work.recipients);
        if (argc > 8)
            work.recipient_template = argv[8];
        return run_load(std::move(work), static_cast<size_t>(number(argc, argv, 5, 4096)));
    }
    fprintf(stderr, "usage: mailbench load PORT [messages sessions size per-connection recipients template]\n"
                    "       mailbench idle PORT [sessions]\n"
                    "       mailbench sink PORT\n");
    return 64;
}
