// Session: one connection to a mail host, from connect to QUIT, over which any number of messages go. It
// knows what the host offers and whether the connection can be used again. TLS will replace `stream` between
// the two EHLOs; nothing else depends on the socket.
#pragma once

#include "lib/base/time.h"
#include "lib/event/byte_stream.h"
#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/smtp/chat.h"
#include "lib/smtp/features.h"
#include "smtp/host_search.h"
#include "smtp/settings.h"
#include "smtp/trouble.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace posthouse::smtp_client {

using smtp::Features;

class Session {
public:
    Session(Loop& loop, const Settings& settings, MailHost host, UniqueFd socket);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // What came of trying a host. Without a session there is trouble.
    class Opened {
    public:
        Opened() = default;
        explicit Opened(Trouble why) : trouble(std::move(why)) {}
        explicit Opened(std::unique_ptr<Session> its_session) : session(std::move(its_session)) {}
        std::unique_ptr<Session> session;
        Trouble trouble;
    };
    // Connects, takes the greeting, says EHLO (or HELO, or LHLO).
    static Task<Opened> open(Loop& loop, const Settings& settings, MailHost host);

    // Says QUIT and perhaps waits for the answer. The session is of no use afterwards.
    Task<void> quit();

    smtp::Chat& chat() { return chat_; }
    const MailHost& host() const { return host_; }
    const Features& features() const { return features_; }
    // Whether another message may go over it, now that one is over.
    bool reusable(Instant now) const;

    bool broken = false;      // the connection, or the dialogue on it, is of no use
    bool needs_reset = false; // a transaction was begun and not completed
    size_t messages = 0;      // sent or tried over it

private:
    Task<std::optional<Trouble>> greet();
    Task<std::optional<Trouble>> hello();
    Task<std::optional<Trouble>> say_hello(std::string_view verb, bool& refused);
    bool greets_as_self(const smtp::Reply& reply) const;

    const Settings& settings_;
    MailHost host_;
    Socket socket_;
    smtp::Chat chat_;
    Features features_;
    Instant opened_;
    bool speaks_esmtp_ = false; // its greeting says so
};

} // namespace posthouse::smtp_client
