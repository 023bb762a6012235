// EarlyTests: one client between its connection and the greeting: it has to be silent for postscreen_greet_wait, and what
// DNS lists say of it is asked meanwhile.
#pragma once

#include "lib/event/byte_stream.h"
#include "lib/event/notify.h"
#include "lib/event/task.h"
#include "lib/event/task_group.h"
#include "lib/smtp/reply.h"
#include "smtpd/screening.h"

#include <optional>
#include <string>

namespace posthouse::smtpd {

class EarlyTests {
public:
    enum class End : unsigned char { Over, Gone, Stopped, Dropped };

    // All outlive it.
    EarlyTests(Screening& screening, ByteStream& stream, ScreenedClient& client);
    ~EarlyTests();
    EarlyTests(const EarlyTests&) = delete;
    EarlyTests& operator=(const EarlyTests&) = delete;

    Task<End> run();
    const smtp::Reply& last_words() const { return *last_words_; } // Dropped
    void stop();

private:
    Task<End> wait();
    Task<void> listen();
    Task<void> ask_dns_lists();
    void spoke(size_t count, std::string_view beginning);
    Task<void> judge_score();
    bool time_is_over() const;

    Screening& screening_;
    ByteStream& stream_;
    ScreenedClient& client_;
    Instant greet_end_;
    Deadline dns_deadline_ = Deadline::never();
    std::string listed_by_; // of the DNS lists that have it the one of most weight
    int best_weight_ = 0;
    int score_ = 0;
    bool answered_ = false; // by the DNS lists, or there are none to ask
    bool judged_ = false;
    bool gone_ = false;
    bool stopped_ = false;
    bool trusted_ = false;  // by score
    std::optional<smtp::Reply> last_words_;
    Event changed_;
    TaskGroup tasks_; // last: they use the rest
};

} // namespace posthouse::smtpd
