// ScreenedClient: one client under test: what it has passed and failed, before the greeting (screening.cc) and in its
// session (session_screening.cc), and what follows. A client that has nothing left to pass, and nothing against it, has
// none: its session is as any other.
#pragma once

#include "lib/base/time.h"
#include "lib/smtp/reply.h"
#include "smtpd/client.h"
#include "smtpd/screening_record.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse::smtpd {

class Screening;

// What follows when a test was failed.
enum class ScreenAction : unsigned char {
    Ignore,  // nothing, but that it is tested again the next time
    Enforce, // no recipient is accepted in this session
    Drop,    // the session ends
};

class ScreenedClient {
public:
    // `screening` outlives it.
    ScreenedClient(Screening& screening, Ends ends);
    ScreenedClient(const ScreenedClient&) = delete;
    ScreenedClient& operator=(const ScreenedClient&) = delete;

    const Ends& ends() const { return ends_; }
    std::string label() const { return ends_.client_text(); } // "[192.0.2.1]:4711"
    Duration age() const;                                     // since it has connected

    // Reads what is known of it.
    void recall();
    TestSet due() const { return due_; }
    bool known() const { return known_; } // it was here before

    // A test that is over. fail() gives the last words for a client whose session ends; the log has its line already.
    void pass(ScreenTest test);
    std::optional<smtp::Reply> fail(ScreenTest test, const smtp::Reply& reply);
    std::optional<smtp::Reply> punish(ScreenAction action, const smtp::Reply& reply);
    // It may behave, but not become known by it.
    void forget_passes() { forgetful_ = true; }
    // Nothing else is tested: it is known well enough. What is against it already stays.
    void pass_all();
    // Writes down what it has passed; says PASS in the log when there is nothing that it has not.
    void conclude();

    // What each of its recipients is answered; null: nothing is against it.
    const smtp::Reply* refusal() const { return refusal_ ? &*refusal_ : nullptr; }
    bool done() const { return due_.empty() && !refusal_; }

    // In the session.
    Screening& screening() { return screening_; }
    uint32_t count_command() { return ++commands_; }
    bool reached_recipient = false; // it has behaved for so long

private:
    Screening& screening_;
    Ends ends_;
    Instant since_;
    PassRecord record_;
    TestSet due_;
    TestSet failed_;
    bool known_ = false;
    bool changed_ = false; // the record
    bool forgetful_ = false;
    uint32_t commands_ = 0;
    std::optional<smtp::Reply> refusal_;
};

// "0.12", "3.4", "120": seconds for a log line, as postscreen writes them.
std::string seconds_text(Duration duration);

} // namespace posthouse::smtpd
