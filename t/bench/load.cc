// See load.h.
#include "t/bench/load.h"

#include "lib/base/cat.h"
#include "lib/event/task_group.h"
#include "t/bench/line.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace posthouse::bench {

namespace {

struct Counts {
    long connections = 0;
    long messages = 0;
    long failed = 0;
    Instant first;
    Instant last;
    std::vector<double> latencies_ms; // from connect (or MAIL) to the reply to the final dot
};

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

// Greeted, and logged in where that is asked for.
Task<std::unique_ptr<Line>> begin_session(Loop& loop, const Work& work)
{
    auto line = co_await connect(loop, work.port);
    if (!line)
        co_return nullptr;
    if (work.tls) {
        const bool secured = co_await line->start_tls(work.tls);
        if (!secured)
            co_return nullptr;
    }
    int code = co_await line->reply();
    if (code == 220)
        code = co_await line->ask("EHLO bench.example.org\r\n");
    if (code == 250 && !work.login.empty()) {
        std::string command = cat("AUTH PLAIN ", work.login, "\r\n");
        code = co_await line->ask(std::move(command));
        code = code == 235 ? 250 : code;
    }
    if (code != 250)
        line.reset();
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
        auto line = co_await begin_session(loop, work);
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

Task<void> hold_one(Loop& loop, const Work& work, bool hello, std::unique_ptr<Line>& into)
{
    if (hello)
        into = co_await begin_session(loop, work);
    else
        into = co_await connect(loop, work.port);
}

} // namespace

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

int run_idle(uint16_t port, long sessions, bool hello)
{
    Loop loop;
    Work work;
    work.port = port;
    std::vector<std::unique_ptr<Line>> lines(static_cast<size_t>(sessions));
    const Instant begin = Instant::now();
    // A hundred at a time: a listener's backlog is finite.
    for (size_t next = 0; next < lines.size();) {
        TaskGroup group(loop);
        TaskGroup waiter(loop);
        for (size_t n = 0; n < 100 && next < lines.size(); ++n)
            group.spawn(hold_one(loop, work, hello, lines[next++]));
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

Result<std::shared_ptr<const tls::ClientContext>> tls_context()
{
    tls::CommonSettings settings;
    settings.protocols = tls::Named("protocols", ">=TLSv1.2");
    settings.ciphers = tls::Named("ciphers", "medium");
    std::vector<std::string> remarks;
    return tls::ClientContext::create(settings, FileSet(), remarks);
}

} // namespace posthouse::bench
