// What happens once to each message on its way in, see intake.h: envelope and headers are rewritten, missing headers
// added, recipients expanded. For smtpd, pickup, forwarded mail and bounces; writes into a NewMessage, and nowhere else.
#include "lib/queue/intake_impl.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/mail/mime_field.h"
#include "lib/queue/queue_file.h"
#include "lib/table/list_items.h"

#include <utility>

namespace posthouse::queue {

namespace {

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

// A field's body as one line.
std::string unfolded(std::string_view body)
{
    std::string line;
    for (const char c : ascii::trim(body))
        if (c != '\r' && c != '\n')
            line.push_back(c);
    return line;
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

bool is_copy_address(std::string_view address, std::string_view asked_by)
{
    const bool good = !address.empty() && !table::breaks_apart(address);
    if (!good)
        log::warning(asked_by, ": not an address, and no copy: \"", address, '"');
    return good;
}

int reply_code_for(const Error& error)
{
    if (error.dsn() == "4.3.1")
        return 452;
    if (!error.permanent())
        return 451;
    return error.dsn() == "5.3.4" ? 552 : 554;
}

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
    if (check && check->discards())
        co_return done;
    if (in_body) {
        done = co_await pass_body(piece);
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
        auto kept = co_await check_item(item, instead);
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

// header_checks first; what they leave goes the way of all fields.
Task<Result<bool>> Intake::Impl::check_item(const HeaderItem& item, std::string& instead)
{
    const bool is_field = item.kind == HeaderItem::Kind::Field || item.kind == HeaderItem::Kind::LongField;
    if (!check || !is_field)
        co_return co_await keep_item(item, instead);
    std::string replacement;
    auto fate = co_await check->field(item.text, item.name_length, instead, replacement);
    if (!fate)
        co_return std::move(fate.error());
    const bool replaced = *fate == ContentCheck::Fate::Replaced;
    if (*fate == ContentCheck::Fate::Gone) {
        dropping = true;
        hops += ascii::equal(item.name(), "received"); // a loop is no shorter for that
        co_return false;
    }
    HeaderItem field = item;
    if (replaced) {
        field = HeaderItem(HeaderItem::Kind::Field, replacement);
        field.name_length = mail::field_name_length(replacement);
    }
    auto kept = co_await keep_item(field, instead);
    dropping = dropping || replaced; // the rest of a long one
    if (!kept || !*kept || (!replaced && instead.empty()))
        co_return kept;
    instead.append(field.text);
    co_return false;
}

// Whether the item stays as it is; if not, `instead` takes its place.
Task<Result<bool>> Intake::Impl::keep_item(const HeaderItem& item, std::string& instead)
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

Task<Result<void>> Intake::Impl::end_headers(std::string_view run, std::string_view separator)
{
    in_body = true;
    if (check)
        check->end_header();
    const std::string_view body = scanner.rest();
    const bool adds = rewrites_headers || tables.always_add_missing_headers;
    if (!adds && !(seen & SeenMessageId))
        log_message_id("<>", false);
    if (!adds && !separator.empty() && !check) {
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
    CO_CHECK(co_await emit(std::string_view()));
    co_return co_await pass_body(body);
}

Task<Result<void>> Intake::Impl::pass_body(std::string_view piece)
{
    if (piece.empty())
        co_return Result<void>();
    if (!check || !check->reads_body())
        co_return co_await message->append(piece);
    std::string checked;
    CO_CHECK(co_await check->body(piece, checked));
    co_return co_await message->append(checked);
}

Task<Result<void>> Intake::Impl::end_body()
{
    if (!check)
        co_return Result<void>();
    std::string rest;
    CO_CHECK(co_await check->end_body(rest));
    ready_facts.merge(check->added_facts());
    co_return co_await message->append(rest);
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

void Intake::examine(ContentRules& rules, ContentOrigin origin)
{
    impl_->check = std::make_unique<ContentCheck>(rules, id(), std::move(origin));
}

const ContentCheck* Intake::check() const { return impl_->check.get(); }

void Intake::set_sender(std::string_view sender, std::string_view full_name)
{
    impl_->sender = sender;
    impl_->full_name = full_name;
}

Task<Result<void>> Intake::content(std::string_view piece)
{
    return impl_->content(piece);
}

Task<Result<void>> Intake::end_content()
{
    if (impl_->line_open)
        CO_CHECK(co_await content("\r\n"));
    if (impl_->failure)
        co_return Error(*impl_->failure);
    if (!impl_->in_body) {
        impl_->scanner.finish();
        CO_CHECK(co_await impl_->scan());
    }
    co_return co_await impl_->end_body();
}

Task<Result<IntakeResult>> Intake::finish(mail::Envelope envelope, smtp::ContentFacts facts, Deadline deadline)
{
    CO_CHECK(co_await end_content());
    AddressMappings mappings = impl_->mappings;
    if (const ContentCheck* checked = check()) {
        if (checked->discards())
            co_return IntakeResult(id(), 0, 0);
        checked->apply_to(envelope);
        if (checked->redirects())
            mappings = AddressMappings::Skip;
    }
    facts.merge(impl_->ready_facts);
    CO_CHECK(co_await impl_->tables.rewrite_envelope(envelope, mappings));
    envelope.rewrite_context = to_text(impl_->context);
    envelope.tls_optional = impl_->tls_optional && !envelope.requiretls; // RFC 8689 section 4.1
    CO_CHECK(check_addresses(envelope));
    CO_CHECK(check_envelope(envelope)); // else what is acknowledged now would be damage to its reader
    const size_t count = envelope.recipients.size();
    CO_CHECK(co_await impl_->message->commit(std::move(envelope), facts, deadline));
    co_return IntakeResult(impl_->message->id(), impl_->message->size(), count);
}

} // namespace posthouse::queue
