// NewMessage: a message on its way into the queue, and where it comes from (MessageSource). Intake writes
// to this interface; QueueClient (leased slots: smtpd, pickup, local) and SlotPool (qmgr's own bounces)
// implement it.
//
//   auto message = co_await source.begin(deadline);
//   CO_CHECK(co_await (*message)->append(piece));
//   CO_CHECK(co_await (*message)->commit(std::move(envelope), facts, deadline));   // now durable: say 250
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/event/task.h"
#include "lib/mail/envelope.h"
#include "lib/smtp/content_facts.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace posthouse::queue {

class NewMessage {
public:
    virtual ~NewMessage() = default; // drops what was not committed

    virtual const std::string& id() const = 0;
    virtual int64_t arrival_us() const = 0; // wall clock at begin()
    virtual uint64_t size() const = 0;      // content bytes so far

    // Content in wire form: CRLF lines, not dot-stuffed. Suspends only when what is buffered (64 KB) has to
    // be written. `content` must stay valid until the task ends. After an Error every later call fails.
    virtual Task<Result<void>> append(std::string_view content) = 0;

    // On success the message is durable and qmgr will hear of it, whatever happens to this process.
    // `envelope.id` and `arrival_us` are set from this message. Errors are Temporary, with 4.3.0 (fault) or
    // 4.3.1 (disk full). Cancelling it while it runs may leave the message queued or not. Called once.
    // The disk cannot be hurried: `deadline` is for what else must be waited for.
    virtual Task<Result<void>> commit(mail::Envelope envelope, smtp::ContentFacts facts, Deadline deadline) = 0;
};

class MessageSource {
public:
    virtual ~MessageSource() = default;

    // Errors are Temporary: 4.3.0 (no queue manager), 4.3.1 (disk full), 4.3.2 (queue not accepting).
    virtual Task<Result<std::unique_ptr<NewMessage>>> begin(Deadline deadline) = 0;
};

} // namespace posthouse::queue
