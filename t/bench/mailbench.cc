// mailbench: the ends of a benchmark, each one process, one thread, one line of JSON.
#include "lib/base/cat.h"
#include "t/bench/load.h"
#include "t/bench/peers.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>

using namespace posthouse::bench;

namespace {

constexpr const char usage[] =
    "usage: mailbench load PORT [messages sessions size per-connection recipients template]\n"
    "       mailbench submit PORT LOGIN messages sessions size per-connection\n"
    "                         the same with TLS from the first byte and AUTH PLAIN; LOGIN is base64\n"
    "       mailbench idle PORT [sessions]     opens them, says EHLO, prints a line, holds until standard input ends\n"
    "       mailbench hold PORT [connections]  opens them and says nothing, else the same\n"
    "       mailbench sink PORT                takes all mail; a line on standard input asks for the counts\n"
    "       mailbench milter PORT              looks at all mail; the same\n"
    "In the template %m is the message's number, %u that modulo 10, %r the recipient's, %d that modulo 10.\n";

long number(int argc, char** argv, int at, long otherwise)
{
    return at < argc ? atol(argv[at]) : otherwise;
}

} // namespace

int main(int argc, char** argv)
{
    const std::string_view what = argc > 2 ? argv[1] : "";
    const auto port = static_cast<uint16_t>(number(argc, argv, 2, 0));
    if (what == "sink")
        return run_sink(port);
    if (what == "milter")
        return run_milter(port);
    if (what == "idle" || what == "hold")
        return run_idle(port, number(argc, argv, 3, 1000), what == "idle");
    if (what == "load" || (what == "submit" && argc > 3)) {
        const int from = what == "load" ? 3 : 4; // of the numbers
        Work work;
        work.port = port;
        if (what == "submit") {
            work.login = argv[3];
            auto context = tls_context();
            if (!context) {
                fprintf(stderr, "mailbench: %s\n", context.error().full_text().c_str());
                return 1;
            }
            work.tls = std::move(*context);
        }
        work.messages = number(argc, argv, from, work.messages);
        work.sessions = number(argc, argv, from + 1, work.sessions);
        work.per_connection = number(argc, argv, from + 3, work.per_connection);
        work.recipients = number(argc, argv, from + 4, work.recipients);
        if (argc > from + 5)
            work.recipient_template = argv[from + 5];
        return run_load(std::move(work), static_cast<size_t>(number(argc, argv, from + 2, 4096)));
    }
    fputs(usage, stderr);
    return 64;
}
