// The clients of the benchmark: run until their work is done, and print one line of JSON.
#pragma once

#include "lib/base/result.h"
#include "lib/tls/client_context.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace posthouse::bench {

struct Work {
    uint16_t port = 0;
    long messages = 1000; // or connections, for run_connections
    long sessions = 20;   // at a time
    long per_connection = 1; // messages; 0: no limit
    long recipients = 1;
    // %m is the message's number, %u that modulo 10, %r the recipient's, %d that modulo 10.
    std::string recipient_template = "user%m@example.net";
    std::string login;                               // AUTH PLAIN's initial response; "": none
    std::shared_ptr<const tls::ClientContext> tls;   // TLS from the first byte; null: plain text
    std::string content;
    long started = 0;
};

Result<std::shared_ptr<const tls::ClientContext>> tls_context();

int run_load(Work work, size_t size);
// Opens connections, and with `hello` says EHLO on each; prints, and holds them until standard input ends.
int run_idle(uint16_t port, long sessions, bool hello);

} // namespace posthouse::bench
