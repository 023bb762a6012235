// Filter: the dialogue with one milter for one SMTP session: connection, negotiation, and each event of the session in
// turn. It decides what the filter is shown, and makes one Verdict of what it says. A filter that fails (not there, silent,
// against the protocol) counts as its default_action says, for the rest of the session.
//
// What a filter does to a message is kept in Edits, and handed to the Message when the filter has come to its end and lets
// the message pass: one that is lost on the way has changed nothing.
#pragma once

#include "lib/base/result.h"
#include "lib/event/byte_stream.h"
#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/milter/headers.h"
#include "lib/milter/protocol.h"
#include "lib/milter/settings.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::net {
class Resolver;
}

namespace posthouse::milter {

struct FilterEvent;

// What an event came to.
struct Verdict {
    enum class Kind : uint8_t { Pass, Hold, Discard, Refuse };
    Verdict() = default;
    explicit Verdict(Kind its_kind) : kind(its_kind) {}
    explicit Verdict(smtp::Reply its_reply) : kind(Kind::Refuse), reply(std::move(its_reply)) {}

    bool passes() const { return kind == Kind::Pass; }

    Kind kind = Kind::Pass;
    smtp::Reply reply;  // Refuse; 421 and 521 end the session
    std::string reason; // Hold: why, as the filter puts it, or ""
};

// Values of macros at the moment of an event. Names come without braces.
class MacroValues {
public:
    virtual ~MacroValues() = default;
    virtual std::optional<std::string> value(std::string_view name) const = 0;
};

struct ClientFacts {
    ClientFacts() = default;
    std::string name;    // "[192.0.2.1]" when it has none
    std::string address; // "" for a client without (a UNIX socket)
    bool v6 = false;
    uint16_t port = 0;
};

// What one filter wants done to a message.
struct Edits {
    struct RecipientEdit {
        RecipientEdit(bool adds, std::string its_address, std::string its_parameters)
            : add(adds), address(std::move(its_address)), parameters(std::move(its_parameters))
        {
        }
        bool add; // or delete
        std::string address; // as the filter wrote it: with or without angle brackets
        std::string parameters;
    };
    Edits() = default;

    HeaderFields headers;
    bool new_body = false; // which was given to Message::append_new_body
    std::optional<std::string> sender;
    std::vector<RecipientEdit> recipients;
};

// A message at its end. Implemented by who has it.
class Message {
public:
    virtual ~Message() = default;
    virtual const HeaderFields& headers() const = 0;
    virtual uint64_t body_size() const = 0; // in bytes, lines ending in CRLF
    // At most `size` bytes, fewer only at the end; valid until the next call.
    virtual Task<Result<std::string_view>> read_body(uint64_t offset, size_t size) = 0;

    // A new body, in pieces as the filter sends them; it takes the old one's place with apply() and is dropped by forget.
    virtual Task<Result<void>> append_new_body(std::string_view piece) = 0;
    virtual void forget_new_body() = 0;
    virtual void apply(Edits edits) = 0;
};

class Filter {
public:
    // All of them outlive it. `resolver` is asked when the address is a name.
    Filter(Loop& loop, const FilterSettings& filter, const Settings& settings, std::function<net::Resolver&()> resolver);
    ~Filter(); // says QUIT, as far as that can be said at once
    Filter(const Filter&) = delete;
    Filter& operator=(const Filter&) = delete;

    Task<Verdict> connect(const ClientFacts& client, const MacroValues& values);
    Task<Verdict> helo(std::string_view name, const MacroValues& values);
    // "<address>" and the parameters of the command, a word each.
    Task<Verdict> mail(const std::vector<std::string>& words, const MacroValues& values);
    // `refused`: by ourselves; only shown to who wants to see that, and without effect.
    Task<Verdict> rcpt(const std::vector<std::string>& words, const MacroValues& values, bool refused);
    Task<Verdict> data(const MacroValues& values);
    Task<Verdict> unknown(std::string_view line, const MacroValues& values);
    // Shows the message and lets the filter change it.
    Task<Verdict> message(Message& message, const MacroValues& values);
    // The mail that mail() began is over without message().
    void abort();

    // The event that is under way ends as if the filter had gone.
    void hang_up();

    // What every event will come to from now on, whatever the client does.
    const std::optional<Verdict>& standing() const { return standing_; }
    bool wants_macro(Stage stage, std::string_view name) const;
    bool shows_refused_recipients() const { return active() && (terms_.steps & RefusedRecipients) != 0; }

private:
    enum class State : uint8_t { New, Active, Out }; // Out: takes no part in this session any more

    bool active() const { return state_ == State::Active; }
    bool in_mail() const { return active() && mail_ && !mail_done_; }
    Task<Result<void>> open();
    Task<Result<void>> negotiate();
    Task<Verdict> event(const FilterEvent& what, std::string data, const MacroValues& values);
    Task<Result<Verdict>> converse(const FilterEvent& what, const std::string& data, const MacroValues& values);
    Task<Result<Verdict>> show(Message& message, const MacroValues& values);
    Task<Result<Verdict>> show_headers(const HeaderFields& headers, const MacroValues& values);
    Task<Result<Verdict>> show_body(Message& message, const MacroValues& values);
    Task<Result<Verdict>> end(Message& message, const MacroValues& values);
    Task<Result<void>> note_change(Reply change, Edits& edits, Message& message);
    void queue_macros(const FilterEvent& what, const MacroValues& values);
    Task<Result<void>> flush(Duration timeout);
    Task<Result<Reply>> read_reply(Duration timeout);
    Task<Result<std::string_view>> read_packet(Deadline deadline);
    Verdict conclude(const FilterEvent& what, Reply reply);
    Verdict fail(const Error& why);
    void say_now(char command);
    void acknowledge() const;

    Loop& loop_;
    const FilterSettings& filter_;
    const Settings& settings_;
    const std::function<net::Resolver&()> resolver_;

    State state_ = State::New;
    Terms terms_;
    std::vector<std::pair<Stage, std::vector<std::string>>> macros_; // that the filter asked for
    std::unique_ptr<Socket> stream_;
    std::string output_; // goes out before the next reply is waited for
    PacketReader input_;
    bool mail_ = false;      // within MAIL and the end of the message
    bool mail_done_ = false; // but the filter has said all that it has to say of this one
    char skipped_ = '\0';    // command of which it wants to see no more, for this message
    bool hung_up_ = false;
    bool replaces_body_ = false; // just now
    uint64_t new_body_size_ = 0;
    std::optional<Verdict> standing_;
    std::optional<Verdict> of_mail_; // what every event of this mail comes to
};

} // namespace posthouse::milter
