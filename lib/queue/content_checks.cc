// Content checks: see content_checks.h.
#include "lib/queue/content_checks.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/intake.h"
#include "lib/queue/override_options.h"

#include <algorithm>
#include <utility>

namespace posthouse::queue {

namespace {

constexpr size_t logged_content = 200; // bytes of a line

// What a table is asked for: folded lines joined by LF, without the last line end.
std::string key_of(std::string_view text)
{
    if (text.ends_with('\n'))
        text.remove_suffix(1);
    if (text.ends_with('\r'))
        text.remove_suffix(1);
    std::string key;
    key.reserve(text.size());
    for (size_t at = 0; at < text.size(); ++at)
        if (text[at] != '\r' || at + 1 == text.size() || text[at + 1] != '\n')
            key.push_back(text[at]);
    return key;
}

// Patterns answer at once, and there may be hundreds of them: a message of short lines is not to hold all sessions up.
constexpr unsigned lines_in_a_turn = 100;

// Those of RFC 2045 and RFC 2183: in whatever header, they are for mime_header_checks.
bool is_mime_field(std::string_view name)
{
    constexpr std::string_view names[] = {
        "content-description",       "content-disposition", "content-id",
        "content-transfer-encoding", "content-type",        "mime-version",
    };
    return std::any_of(std::begin(names), std::end(names), [&](std::string_view n) { return ascii::equal(n, name); });
}

} // namespace

Result<std::unique_ptr<ContentRules>> ContentRules::open(const config::Config& config, const table::Context& context)
{
    if (OverrideOptions(config).no_header_body_checks)
        return std::unique_ptr<ContentRules>();
    std::unique_ptr<ContentRules> rules(new ContentRules);
    rules->loop = context.loop;
    struct Kind {
        const char* parameter;
        std::unique_ptr<table::Maps> ContentRules::*maps;
    };
    constexpr Kind kinds[] = {
        {"header_checks", &ContentRules::header},
        {"mime_header_checks", &ContentRules::mime},
        {"nested_header_checks", &ContentRules::nested},
        {"body_checks", &ContentRules::body},
    };
    for (const Kind& kind : kinds) {
        auto maps = table::Maps::open(kind.parameter, config.text(kind.parameter), context);
        if (!maps)
            return std::move(maps.error());
        (*rules).*kind.maps = std::move(*maps);
    }
    const bool all_strict = config.boolean("strict_8bitmime");
    rules->strict_header = all_strict || config.boolean("strict_7bit_headers");
    rules->strict_body = all_strict || config.boolean("strict_8bitmime_body");
    rules->strict_encoding = config.boolean("strict_mime_encoding_domain");

    mail::MimeLimits& limits = rules->mime_limits;
    limits.nesting = static_cast<size_t>(config.number("mime_nesting_limit"));
    limits.boundary = static_cast<size_t>(config.number("mime_boundary_length_limit"));
    limits.header_field = static_cast<size_t>(config.number("header_size_limit"));
    limits.line = static_cast<size_t>(config.number("line_length_limit"));
    limits.structure = !config.boolean("disable_mime_input_processing");
    if (!rules->body->empty())
        limits.checked_body = static_cast<uint64_t>(config.number("body_checks_size_limit"));
    // Without the structure, the parts' headers are lines of the body.
    const bool reads_parts = !rules->mime->empty() || !rules->nested->empty() || rules->strict_header
                             || rules->strict_body || rules->strict_encoding;
    rules->reads_body = !rules->body->empty() || (limits.structure && reads_parts);
    if (rules->header->empty() && !reads_parts && !rules->reads_body)
        return std::unique_ptr<ContentRules>();
    return rules;
}

bool ContentRules::stale() const
{
    return header->stale() || mime->stale() || nested->stale() || body->stale();
}

ContentCheck::ContentCheck(ContentRules& rules, std::string id, ContentOrigin origin)
    : rules_(rules), id_(std::move(id)), origin_(std::move(origin)), tracker_(rules.mime_limits)
{
}

table::Maps& ContentCheck::maps_for(std::string_view field_name, table::Maps& otherwise) const
{
    return is_mime_field(field_name) ? *rules_.mime : otherwise;
}

Task<Result<ContentCheck::Fate>> ContentCheck::field(std::string_view text, size_t name_length, std::string& before,
                                                     std::string& instead)
{
    if (done_)
        co_return Fate::Kept;
    text = text.substr(0, rules_.mime_limits.header_field);
    const std::string_view name = text.substr(0, name_length);
    const size_t colon = std::min(text.find(':', name_length), text.size() - 1);
    tracker_.note_field(name, text.substr(colon + 1));
    if (rules_.strict_header && !origin_.smtputf8 && !ascii::all_7bit(text))
        co_return refuse_for("improper use of 8-bit data in message header");
    table::Maps& maps = maps_for(name, *rules_.header);
    co_return co_await look_up(maps, text, true, before, instead);
}

void ContentCheck::end_header()
{
    tracker_.end_header();
}

Task<Result<void>> ContentCheck::body(std::string_view piece, std::string& out)
{
    tracker_.feed(piece);
    while (true) {
        const mail::MimeItem item = tracker_.next();
        CO_CHECK(check_structure());
        if (item.kind == mail::MimeItem::Kind::NeedMore)
            co_return Result<void>();
        CO_CHECK(co_await body_item(item, out));
        if (done_) {
            out.append(tracker_.rest());
            co_return Result<void>();
        }
    }
}

Task<Result<void>> ContentCheck::end_body(std::string& out)
{
    if (!reads_body())
        co_return Result<void>();
    tracker_.finish();
    while (!done_) {
        const mail::MimeItem item = tracker_.next();
        if (item.kind == mail::MimeItem::Kind::NeedMore)
            break;
        CO_CHECK(co_await body_item(item, out));
    }
    if (done_)
        out.append(tracker_.rest());
    co_return Result<void>();
}

Task<Result<void>> ContentCheck::body_item(const mail::MimeItem& item, std::string& out)
{
    using Kind = mail::MimeItem::Kind;
    const bool is_header = item.kind == Kind::PartField || item.kind == Kind::InnerField;
    const bool strict = is_header ? rules_.strict_header && !origin_.smtputf8 : rules_.strict_body && item.seven_bit;
    if (strict && !ascii::all_7bit(item.text))
        co_return refuse_for(is_header ? "improper use of 8-bit data in message header"
                                       : "improper use of 8-bit data in message body");
    if (item.kind == Kind::Text) {
        if (!item.of_field || !drops_field_)
            out.append(item.text);
        co_return Result<void>();
    }
    table::Maps& maps = !is_header ? *rules_.body
                                   : maps_for(item.name(), item.kind == Kind::PartField ? *rules_.mime : *rules_.nested);
    std::string before;
    std::string instead;
    auto fate = co_await look_up(maps, item.text, is_header, before, instead);
    if (!fate)
        co_return std::move(fate.error());
    drops_field_ = item.cut && *fate != Fate::Kept;
    note_added(before, is_header);
    note_added(instead, is_header);
    append_to(out, before, *fate == Fate::Kept ? item.text : std::string_view(instead));
    co_return Result<void>();
}

Task<Result<ContentCheck::Fate>> ContentCheck::look_up(table::Maps& maps, std::string_view text, bool is_header,
                                                       std::string& before, std::string& instead)
{
    if (maps.empty())
        co_return Fate::Kept;
    if (++looked_ == lines_in_a_turn) {
        looked_ = 0;
        co_await sleep_for(*rules_.loop, Duration());
    }
    const std::string key = key_of(text);
    table::Value found = co_await maps.lookup(key);
    if (!found) {
        log::warning(id_, ": ", found.error().full_text(), " -- message not accepted, try again later");
        co_return Error(ErrorKind::Temporary, "4.3.0", cat(maps.parameter(), " lookup failure"));
    }
    if (!*found)
        co_return Fate::Kept;
    const auto action = ContentAction::parse(**found, is_header);
    if (!action) {
        log::warning(id_, ": ", maps.parameter(), ": ", action.error().full_text());
        co_return Fate::Kept;
    }
    co_return carry_out(*action, is_header, key, before, instead);
}

Result<ContentCheck::Fate> ContentCheck::carry_out(const ContentAction& action, bool is_header, std::string_view text,
                                                   std::string& before, std::string& instead)
{
    using Do = ContentAction::Do;
    if (action.action == Do::Reject) {
        const Error refusal = refuse(action.text);
        log_action(action.logged_as(), is_header, text, cat(refusal.dsn(), ' ', refusal.text()));
        return refusal;
    }
    const bool already = action.action == Do::Hold && hold_;
    if (!action.logged_as().empty() && !already)
        log_action(action.logged_as(), is_header, text, action.text);
    switch (action.action) {
    case Do::Bcc:
        bcc_.push_back(action.text);
        break;
    case Do::Discard:
        discard_ = done_ = true;
        break;
    case Do::Filter:
        filter_ = action.text;
        break;
    case Do::Hold:
        hold_ = true;
        break;
    case Do::Pass:
        pass_ = done_ = true;
        break;
    case Do::Prepend:
        append_to(before, action.text, "\r\n");
        break;
    case Do::Redirect:
        redirect_ = action.text;
        done_ = true;
        break;
    case Do::Replace:
        instead = cat(action.text, "\r\n");
        return Fate::Replaced;
    case Do::Ignore:
    case Do::Strip:
        return Fate::Gone;
    case Do::Nothing:
    case Do::Info:
    case Do::Reject:
    case Do::Warn:
        break;
    }
    return Fate::Kept;
}

// "5.7.1 text", "text" or nothing, as an administrator has it.
Error ContentCheck::refuse(std::string_view text)
{
    std::string_view dsn = "5.7.1";
    for (const char its_class : {'4', '5'})
        if (const size_t length = smtp::enhanced_code_length(text, its_class); length > 0) {
            dsn = text.substr(0, length);
            text = ascii::trim(text.substr(length));
            break;
        }
    if (text.empty())
        text = "message content rejected";
    const bool temporary = dsn[0] == '4';
    refusal_ = smtp::Reply(temporary ? 451 : 550, dsn, text);
    return Error(temporary ? ErrorKind::Temporary : ErrorKind::Permanent, dsn, std::string(text));
}

Error ContentCheck::refuse_for(std::string_view why)
{
    const Error refusal = refuse(cat("5.6.0 ", why));
    log::info(id_, ": reject: mime-error ", why, ": from ", origin_.client, "; from=<", origin_.sender, "> to=<",
              origin_.recipient, '>');
    return refusal;
}

Result<void> ContentCheck::check_structure()
{
    switch (tracker_.fault()) {
    case mail::MimeFault::Nesting:
        return refuse_for("MIME nesting exceeds safety limit");
    case mail::MimeFault::EncodingDomain:
        if (rules_.strict_encoding)
            return refuse_for("invalid message/* or multipart/* encoding domain");
        break;
    case mail::MimeFault::None:
        break;
    }
    return Result<void>();
}

void ContentCheck::log_action(std::string_view action, bool is_header, std::string_view content,
                              std::string_view text) const
{
    std::string line = cat(id_, ": ", action, ": ", is_header ? "header " : "body ", content.substr(0, logged_content),
                           " from ", origin_.client, "; from=<", origin_.sender, "> to=<", origin_.recipient, '>');
    if (!origin_.protocol.empty())
        append_to(line, " proto=", origin_.protocol);
    if (!origin_.helo.empty())
        append_to(line, " helo=<", origin_.helo, '>');
    if (!text.empty())
        append_to(line, ": ", text);
    log::info(line);
}

void ContentCheck::note_added(std::string_view lines, bool is_header)
{
    if (!lines.empty())
        added_facts_.merge(is_header ? smtp::facts_of_header(lines) : smtp::facts_of_content(cat("\r\n", lines)));
}

void ContentCheck::apply_to(mail::Envelope& envelope) const
{
    envelope.hold |= hold_;
    if (!filter_.empty())
        envelope.content_filter = filter_;
    for (const std::string& address : bcc_) {
        if (!is_copy_address(address, "BCC of a content check"))
            continue;
        mail::Recipient copy(address);
        copy.original = address;
        copy.notify = mail::NotifyNever;
        envelope.recipients.push_back(std::move(copy));
    }
    if (redirect_.empty())
        return;
    mail::Recipient target(redirect_);
    target.original = redirect_;
    envelope.recipients.assign(1, std::move(target));
    envelope.content_filter.clear();
}

} // namespace posthouse::queue
