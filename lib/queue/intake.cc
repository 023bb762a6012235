// What happens once to each message on its way in, see intake.h: envelope and headers are rewritten, missing headers
// added, recipients expanded. For smtpd, pickup, forwarded mail and bounces; writes into a NewMessage, and nowhere else.
#include "lib/queue/intake.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/mail/address_list.h"
#include "lib/mail/date.h"
#include "lib/queue/header_scanner.h"
#include "lib/queue/intake_tables.h"
#include "lib/queue/queue_file.h"
#include "lib/table/list_items.h"

#include <optional>
#include <utility>

namespace posthouse::queue {

namespace {

// The header fields that intake takes notice of.
enum Seen : unsigned {
    SeenNone = 0,
    SeenReceived = 1,
    SeenMessageId = 2,
    SeenDate = 4,
    SeenFrom = 8,
    SeenVisibleRecipient = 16,
    SeenTlsRequired = 32,
};

struct KnownField {
    std::string_view name;
    Seen seen;
};
constexpr KnownField known_fields[] = {
    {"received", SeenReceived}, {"message-id", SeenMessageId}, {"date", SeenDate},
    {"from", SeenFrom},         {"to", SeenVisibleRecipient},  {"cc", SeenVisibleRecipient},
    {"tls-required", SeenTlsRequired},
};

Seen find_known(std::string_view name)
{
    for (const KnownField& field : known_fields)
        if (ascii::equal(field.name, name))
            return field.seen;
    return SeenNone;
}

constexpr std::string_view resent_prefix = "Resent-";

// A field's body as one line.
std::string unfolded(std::string_view body)
{
    std::string line;
    for (const char c : ascii::trim(body))
        if (c != '\r' && c != '\n')
            line.push_back(c);
    return line;
}

// RFC 5322 section 3.2.2: parentheses and backslashes inside of a comment.
std::string as_comment(std::string_view text)
{
    std::string comment;
    for (const char c : text) {
        if (c == '(' || c == ')' || c == '\\')
            comment.push_back('\\');
        comment.push_back(ascii::is_control(c) ? ' ' : c);
    }
    return comment;
}

// Whatever way an address came: more than one word is never sent on.
Result<void> check_addresses(const mail::Envelope& envelope)
{
    if (table::breaks_apart(envelope.sender))
        return Error(ErrorKind::Permanent, "5.1.7", "Bad sender address syntax");
    for (const mail::Recipient& recipient : envelope.recipients)
        if (table::breaks_apart(recipient.address))
            return Error(ErrorKind::Permanent, "5.1.3", "Bad recipient address syntax");
    return Result<void>();
}

} // namespace

IntakeResult::IntakeResult(std::string the_id, uint64_t the_size, size_t the_recipient_count)
    : id(std::move(the_id)), size(the_size), recipient_count(the_recipient_count)
{
}

int reply_code_for(const Error& error)
{
    if (error.dsn() == "4.3.1")
        return 452;
    if (!error.permanent())
        return 451;
    return error.dsn() == "5.3.4" ? 552 : 554;
}

struct Intake::Impl {
    Impl(IntakeTables::Impl& the_tables, std::unique_ptr<NewMessage> the_message, RewriteContext the_context,
         AddressMappings the_mappings)
        : tables(the_tables), message(std::move(the_message)), context(the_context), mappings(the_mappings),
          rewrites_headers(tables.rewriter->rewrites_headers(context)), scanner(tables.header_size_limit)
    {
    }

    IntakeTables::Impl& tables;
    std::unique_ptr<NewMessage> message;
    const RewriteContext context;
    const AddressMappings mappings;
    const bool rewrites_headers;
    HeaderScanner scanner;

    std::optional<Error> failure;
    uint64_t received = 0;
    bool in_body = false;
    bool line_open = false;    // the last byte was no line end
    bool dropping = false;     // the long field at hand
    bool is_resent = false;
    bool tls_optional = false; // RFC 8689 section 3
    unsigned seen = SeenNone;        // among the plain fields
    unsigned resent_seen = SeenNone; // among the Resent- ones
    int hops = 0;
    std::string sender, full_name;
    std::string ready; // to go out before what comes next: prepended, replaced or added fields
    smtp::ContentFacts ready_facts; // of all that went through `ready`

    Task<Result<void>> content(std::string_view piece);
    Task<Result<void>> scan();
    Task<Result<void>> emit(std::string_view text);
    Task<Result<void>> end_headers(std::string_view run, std::string_view separator);
    Task<Result<bool>> keep_field(const HeaderItem& item, std::string& instead);
    Task<Result<void>> add_missing_fields();
    Task<Result<void>> add_from(std::string_view prefix);
    void log_message_id(std::string_view id, bool resent) const;
    Result<void> note_field(const HeaderItem& item);
    bool is_dropped(std::string_view name) const;
    Error remember(Error error);
};

Error Intake::Impl::remember(Error error)
{
    failure = error;
    return error;
}

Task<Result<void>> Intake::Impl::content(std::string_view piece)
{
    if (failure)
        co_return Error(*failure);
    if (piece.empty())
        co_return Result<void>();
    received += piece.size();
    if (tables.message_size_limit > 0 && received > tables.message_size_limit)
        co_return remember(Error(ErrorKind::Permanent, "5.3.4", "Error: message file too big"));
    line_open = piece.back() != '\n';
    Result<void> done;
    if (in_body) {
        done = co_await message->append(piece);
    } else {
        scanner.feed(piece);
        done = co_await scan();
    }
    if (!done)
        co_return remember(std::move(done.error()));
    co_return done;
}

// Passes on what is ready, and `text`. Fields that stay as they are go out together, by one call.
Task<Result<void>> Intake::Impl::emit(std::string_view text)
{
    if (!ready.empty()) {
        const std::string before = std::exchange(ready, std::string());
        ready_facts.merge(smtp::facts_of_header(before));
        CO_CHECK(co_await message->append(before));
    }
    if (text.empty())
        co_return Result<void>();
    co_return co_await message->append(text);
}

// Looks at the fields that are there; `run` is what lies unchanged since the last call of emit().
Task<Result<void>> Intake::Impl::scan()
{
    std::string_view run;
    while (true) {
        const HeaderItem item = scanner.next();
        if (item.kind == HeaderItem::Kind::NeedMore) {
            CO_CHECK(co_await emit(run));
            scanner.keep_rest();
            co_return Result<void>();
        }
        if (item.kind == HeaderItem::Kind::End)
            co_return co_await end_headers(run, item.text);
        std::string instead;
        auto kept = co_await keep_field(item, instead);
        if (!kept)
            co_return std::move(kept.error());
        if (*kept) {
            run = run.empty() ? item.text : std::string_view(run.data(), run.size() + item.text.size());
            continue;
        }
        if (!run.empty())
            CO_CHECK(co_await emit(run));
        run = std::string_view();
        ready.append(instead);
    }
}

bool Intake::Impl::is_dropped(std::string_view name) const
{
    for (const std::string& dropped : tables.drop_headers)
        if (ascii::equal(dropped, name))
            return true;
    return false;
}

// Whether the item stays as it is; if not, `instead` takes its place.
Task<Result<bool>> Intake::Impl::keep_field(const HeaderItem& item, std::string& instead)
{
    if (item.kind == HeaderItem::Kind::MailboxLine) {
        append_to(instead, "X-Mailbox-Line: ", item.text);
        co_return false;
    }
    if (item.kind == HeaderItem::Kind::MoreOfField)
        co_return !dropping;
    dropping = is_dropped(item.name());
    CO_CHECK(note_field(item));
    if (dropping)
        co_return false;
    if (!rewrites_headers || item.kind == HeaderItem::Kind::LongField || !is_address_header(item.name()))
        co_return true;
    std::string name(item.name());
    std::string body(item.body());
    auto changed = co_await tables.rewriter->rewrite_header(name, std::move(body), context, mappings);
    if (!changed)
        co_return std::move(changed.error());
    if (!*changed)
        co_return true;
    append_to(instead, name, ':', **changed, "\r\n");
    co_return false;
}

Result<void> Intake::Impl::note_field(const HeaderItem& item)
{
    std::string_view name = item.name();
    const bool resent = ascii::starts_with(name, resent_prefix);
    if (resent)
        name.remove_prefix(resent_prefix.size());
    const Seen kind = find_known(name);
    is_resent = is_resent || resent;
    (resent ? resent_seen : seen) |= kind;
    if (kind == SeenTlsRequired && !resent && ascii::equal(unfolded(item.body()), "No"))
        tls_optional = tables.tls_required;
    if (kind == SeenMessageId)
        log_message_id(unfolded(item.body()), resent);
    if (kind == SeenReceived && !resent && ++hops > tables.hopcount_limit)
        return Error(ErrorKind::Permanent, "5.4.0", "Error: too many hops");
    return {};
}

void Intake::Impl::log_message_id(std::string_view id, bool resent) const
{
    log::info(message->id(), resent ? ": resent-message-id=" : ": message-id=", id);
}

// Message-Id, Date and From of a message that a local program wrote without them. When it is a resent
// message, these are its Resent- fields (RFC 5322 section 3.6.6).
Task<Result<void>> Intake::Impl::add_missing_fields()
{
    const unsigned has = is_resent ? resent_seen : seen;
    const std::string_view prefix = is_resent ? resent_prefix : std::string_view();
    const int64_t arrival = message->arrival_us();
    if (!(has & SeenMessageId)) {
        const std::string id = cat('<', mail::compact_utc_time(arrival), '.', message->id(), '@', tables.hostname, '>');
        append_to(ready, prefix, "Message-Id: ", id, "\r\n");
        log_message_id(id, is_resent);
    }
    if (!(has & SeenDate))
        append_to(ready, prefix, "Date: ", mail::format_date(arrival), "\r\n");
    if (!(has & SeenFrom))
        CO_CHECK(co_await add_from(prefix));
    const std::string& undisclosed = tables.undisclosed_recipients_header;
    if (!((seen | resent_seen) & SeenVisibleRecipient) && undisclosed.find(':') != std::string::npos)
        append_to(ready, undisclosed, "\r\n");
    co_return Result<void>();
}

Task<Result<void>> Intake::Impl::add_from(std::string_view prefix)
{
    std::string address = tables.mailer_daemon;
    if (!sender.empty()) {
        auto rewritten = co_await tables.rewriter->rewrite(sender, AddressRole::EnvelopeSender);
        if (!rewritten)
            co_return std::move(rewritten.error());
        address = std::move(*rewritten);
    }
    if (sender.empty() || full_name.empty())
        append_to(ready, prefix, "From: ", address, "\r\n");
    else if (tables.obsolete_from)
        append_to(ready, prefix, "From: ", address, " (", as_comment(full_name), ")\r\n");
    else
        append_to(ready, prefix, "From: ", mail::quote_phrase(full_name), " <", address, ">\r\n");
    co_return Result<void>();
}

Task<Result<void>> Intake::Impl::end_headers(std::string_view run, std::string_view separator)
{
    in_body = true;
    const std::string_view body = scanner.rest();
    const bool adds = rewrites_headers || tables.always_add_missing_headers;
    if (!adds && !(seen & SeenMessageId))
        log_message_id("<>", false);
    if (!adds && !separator.empty()) {
        // The usual case: the last fields, the empty line and the body behind it lie in one piece.
        const char* begin = run.empty() ? separator.data() : run.data();
        const std::string_view all(begin, run.size() + separator.size() + body.size());
        co_return co_await emit(all);
    }
    CO_CHECK(co_await emit(run));
    if (adds)
        CO_CHECK(co_await add_missing_fields());
    if (!separator.empty() || !body.empty())
        ready.append("\r\n");
    co_return co_await emit(body);
}

Intake::Intake(IntakeTables& tables, std::unique_ptr<NewMessage> message, RewriteContext context,
               AddressMappings mappings)
    : impl_(std::make_unique<Impl>(*tables.impl_, std::move(message), context, mappings))
{
}
Intake::~Intake() = default;

const std::string& Intake::id() const { return impl_->message->id(); }

void Intake::prepend(std::string_view headers)
{
    constexpr std::string_view trace = "received:";
    for (size_t line = 0; line < headers.size(); line = headers.find('\n', line) + 1) {
        if (ascii::starts_with(headers.substr(line), trace))
            ++impl_->hops;
        if (headers.find('\n', line) == std::string_view::npos)
            break;
    }
    impl_->ready.append(headers);
}

void Intake::set_sender(std::string_view sender, std::string_view full_name)
{
    impl_->sender = sender;
    impl_->full_name = full_name;
}

Task<Result<void>> Intake::content(std::string_view piece)
{
    return impl_->content(piece);
}

Task<Result<IntakeResult>> Intake::finish(mail::Envelope envelope, smtp::ContentFacts facts, Deadline deadline)
{
    if (impl_->line_open)
        CO_CHECK(co_await content("\r\n"));
    if (impl_->failure)
        co_return Error(*impl_->failure);
    if (!impl_->in_body) {
        impl_->scanner.finish();
        CO_CHECK(co_await impl_->scan());
    }
    facts.merge(impl_->ready_facts);
    CO_CHECK(co_await impl_->tables.rewrite_envelope(envelope, impl_->mappings));
    envelope.rewrite_context = to_text(impl_->context);
    envelope.tls_optional = impl_->tls_optional && !envelope.requiretls; // RFC 8689 section 4.1
    CO_CHECK(check_addresses(envelope));
    CO_CHECK(check_envelope(envelope)); // else what is acknowledged now would be damage to its reader
    const size_t count = envelope.recipients.size();
    CO_CHECK(co_await impl_->message->commit(std::move(envelope), facts, deadline));
    co_return IntakeResult(impl_->message->id(), impl_->message->size(), count);
}

} // namespace posthouse::queue
