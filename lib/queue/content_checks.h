// Content checks at intake: header_checks, mime_header_checks, nested_header_checks and body_checks (header_checks(5)),
// and the strict_... parameters. ContentRules are what a process has opened; a ContentCheck is one message's way through
// them. Intake asks it for each field of the header, and passes it the body; see intake.h.
//
// Nothing is looked at that no table asks for. The mail of the suite itself (bounces, forwards) has no ContentCheck.
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"
#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/mail/envelope.h"
#include "lib/mail/mime_tracker.h"
#include "lib/queue/content_action.h"
#include "lib/smtp/content_facts.h"
#include "lib/smtp/reply.h"
#include "lib/table/maps.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::queue {

// Tables and settings of one process; opened before it gives its privileges up. Outlives its ContentChecks.
class ContentRules {
public:
    // Null when main.cf asks for nothing, or receive_override_options has no_header_body_checks.
    static Result<std::unique_ptr<ContentRules>> open(const config::Config& config, const table::Context& context);
    bool stale() const; // a table was replaced: the process should retire

private:
    friend class ContentCheck;
    ContentRules() = default;

    Loop* loop = nullptr;
    std::unique_ptr<table::Maps> header, mime, nested, body;
    mail::MimeLimits mime_limits;
    bool reads_body = false;
    bool strict_header = false;   // strict_7bit_headers
    bool strict_body = false;     // strict_8bitmime_body
    bool strict_encoding = false; // strict_mime_encoding_domain
};

// Where a message comes from, for the log.
class ContentOrigin {
public:
    explicit ContentOrigin(std::string the_client) : client(std::move(the_client)) {}

    std::string client; // "mail.example.com[192.0.2.1]", or "local"
    std::string sender;
    std::string recipient; // one of them
    std::string protocol;
    std::string helo;
    bool smtputf8 = false; // 8-bit header fields are as they should be
};

class ContentCheck {
public:
    ContentCheck(ContentRules& rules, std::string id, ContentOrigin origin);

    enum class Fate : unsigned char { Kept, Replaced, Gone };
    // A field of the message's own header with its line ends; of a long one the begin. Lines that are to stand before it
    // are appended to `before`; `instead` is set when it is Replaced.
    Task<Result<Fate>> field(std::string_view text, size_t name_length, std::string& before, std::string& instead);
    void end_header();
    // Whether the body is to be looked at; when not, it passes by.
    bool reads_body() const { return rules_.reads_body && !done_; }
    // A piece of it: appends what is to be stored of what has come so far.
    Task<Result<void>> body(std::string_view piece, std::string& out);
    Task<Result<void>> end_body(std::string& out);

    // An Error of the calls above is for good: Permanent or Temporary as the check wants it, and then this is the reply.
    const std::optional<smtp::Reply>& refusal() const { return refusal_; }
    // DISCARD: what follows need not be kept.
    bool discards() const { return discard_; }
    // PASS: nothing else is to look at the message, milters included.
    bool passes() const { return pass_; }
    // REDIRECT: the recipient is final.
    bool redirects() const { return !redirect_.empty(); }
    // HOLD, FILTER, REDIRECT and BCC.
    void apply_to(mail::Envelope& envelope) const;
    // Of the lines that came into the body.
    const smtp::ContentFacts& added_facts() const { return added_facts_; }

private:
    Task<Result<Fate>> look_up(table::Maps& maps, std::string_view text, bool is_header, std::string& before,
                               std::string& instead);
    Result<Fate> carry_out(const ContentAction& action, bool is_header, std::string_view text, std::string& before,
                           std::string& instead);
    Task<Result<void>> body_item(const mail::MimeItem& item, std::string& out);
    table::Maps& maps_for(std::string_view field_name, table::Maps& otherwise) const;
    Result<void> check_structure();
    Error refuse(std::string_view text);
    Error refuse_for(std::string_view why);
    void log_action(std::string_view action, bool is_header, std::string_view content, std::string_view text) const;
    void note_added(std::string_view lines, bool is_header);

    ContentRules& rules_;
    const std::string id_;
    const ContentOrigin origin_;
    mail::MimeTracker tracker_;
    unsigned looked_ = 0; // lines since others had their turn of the loop
    bool done_ = false; // looks no further
    bool drops_field_ = false; // the rest of a long field of a part, too
    bool discard_ = false;
    bool pass_ = false;
    bool hold_ = false;
    std::string filter_, redirect_;
    std::vector<std::string> bcc_;
    std::optional<smtp::Reply> refusal_;
    smtp::ContentFacts added_facts_;
};

} // namespace posthouse::queue
