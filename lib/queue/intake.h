// Intake: the one way into the queue. smtpd, pickup, local's forwards and qmgr's bounces feed it the
// envelope and the content as it arrives; it rewrites the envelope, cleans up the headers while they
// stream through, and commits a NewMessage. What Postfix's cleanup daemon does, as a library.
//
//   Intake intake(tables, std::move(message), context); // from QueueClient::begin; intake.id() is known
//   intake.prepend("Received: from ...\r\n");           // own trace headers, not looked at
//   CO_CHECK(co_await intake.content(piece));           // any pieces, in wire form (CRLF, not stuffed)
//   auto result = co_await intake.finish(std::move(envelope), facts, deadline);   // durable on success
//
// The body is passed on in whole pieces, never looked at. Headers are scanned once; memory is bounded by
// header_size_limit. A failure is remembered: content() returns at once from then on, and finish() gives
// the same Error, so a session may go on reading until the end of data and answer there.
// Destroying an Intake that is not finished drops the message.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/config/config.h"
#include "lib/event/task.h"
#include "lib/mail/envelope.h"
#include "lib/queue/new_message.h"
#include "lib/queue/rewrite.h"
#include "lib/smtp/content_facts.h"
#include "lib/table/table.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace posthouse::queue {

class ContentCheck;
class ContentOrigin;
class ContentRules;
class Expander;

// Tables and settings of one process; opened before it gives its privileges up. Outlives its Intakes.
class IntakeTables {
public:
    static Result<std::unique_ptr<IntakeTables>> open(const config::Config& config, const table::Context& context);
    ~IntakeTables();
    IntakeTables(const IntakeTables&) = delete;
    IntakeTables& operator=(const IntakeTables&) = delete;

    Rewriter& rewriter();
    Expander& expander();
    uint64_t message_size_limit() const; // 0: none
    bool stale() const;                  // a table was replaced: the process should retire

private:
    friend class Intake;
    IntakeTables();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

class IntakeResult {
public:
    IntakeResult() = default;
    IntakeResult(std::string the_id, uint64_t the_size, size_t the_recipient_count);

    std::string id;
    uint64_t size = 0;          // of the content as stored
    size_t recipient_count = 0; // after expansion
};

// The reply code for an Error of finish(): 554 (too many hops), 552 (too big), 452 (disk full), 451.
int reply_code_for(const Error& error);

// Whether a copy can go to an address that a parameter or a table has given; if not, a warning says so: what an
// administrator got wrong does not cost the message itself.
bool is_copy_address(std::string_view address, std::string_view asked_by);

class Intake {
public:
    // Local context: missing headers are added and header addresses rewritten, as for a client in
    // local_header_rewrite_clients.
    Intake(IntakeTables& tables, std::unique_ptr<NewMessage> message, RewriteContext context,
           AddressMappings mappings = AddressMappings::Apply);
    ~Intake();
    Intake(const Intake&) = delete;
    Intake& operator=(const Intake&) = delete;

    const std::string& id() const;

    // Whole header lines with CRLF, put before the content as they are. Before content().
    void prepend(std::string_view headers);

    // Has header and body looked at; before content(). `rules` outlives the Intake.
    void examine(ContentRules& rules, ContentOrigin origin);
    // Null without examine(). Knows the reply when its Error has ended the message.
    const ContentCheck* check() const;

    // For the From: of a message that has none; before content(). Without it, the null sender.
    void set_sender(std::string_view sender, std::string_view full_name);

    Task<Result<void>> content(std::string_view piece);

    // After the last piece: all of what will be queued has gone to the NewMessage then. For who keeps that back and looks
    // at the whole of it; finish() does it, too.
    Task<Result<void>> end_content();

    // Ends the headers if there was no body, rewrites and expands the envelope, adds the bcc recipients,
    // and commits; a message that a check wants to DISCARD is dropped instead. A recipient's `original` is
    // filled in when empty; envelope.id and arrival are set.
    Task<Result<IntakeResult>> finish(mail::Envelope envelope, smtp::ContentFacts facts, Deadline deadline);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace posthouse::queue
