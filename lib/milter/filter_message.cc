// The end of a message: what a filter is shown of it, and what it does to it. See filter.h.
#include "lib/milter/filter.h"

#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/milter/filter_event.h"

#include <utility>

namespace posthouse::milter {

namespace {

constexpr FilterEvent header_event = {CmdHeader, Stage::EndOfHeader, NoHeaders, NoReplyHeader, FilterEvent::OfContent,
                                      oldest_version, false};
constexpr FilterEvent end_of_header_event = {CmdEndOfHeader, Stage::EndOfHeader, NoEndOfHeader, NoReplyEndOfHeader,
                                             FilterEvent::OfContent};
constexpr FilterEvent body_event = {CmdBody, Stage::EndOfMessage, NoBody, NoReplyBody, FilterEvent::OfContent, oldest_version,
                                    false};
constexpr FilterEvent end_event = {CmdEndOfMessage, Stage::EndOfMessage, 0, 0, FilterEvent::OfContent};

constexpr size_t longest_value = 60000; // what fits into a packet, with its name
constexpr size_t most_changes = 100000; // of one filter to one message
constexpr size_t most_recipients = 10000;
constexpr size_t longest_recipient = 4096; // with its parameters

} // namespace

Task<Verdict> Filter::message(Message& message, const MacroValues& values)
{
    if (standing_)
        co_return *standing_;
    if (of_mail_)
        co_return *of_mail_;
    if (!in_mail())
        co_return Verdict();
    auto verdict = co_await show(message, values);
    if (!verdict) {
        message.forget_new_body();
        co_return fail(verdict.error());
    }
    co_return std::move(*verdict);
}

Task<Result<Verdict>> Filter::show(Message& message, const MacroValues& values)
{
    auto verdict = co_await show_headers(message.headers(), values);
    if (!verdict || !verdict->passes() || mail_done_)
        co_return verdict;
    std::string nothing;
    verdict = co_await converse(end_of_header_event, nothing, values);
    if (!verdict || !verdict->passes() || mail_done_)
        co_return verdict;
    verdict = co_await show_body(message, values);
    if (!verdict || !verdict->passes() || mail_done_)
        co_return verdict;
    co_return co_await end(message, values);
}

Task<Result<Verdict>> Filter::show_headers(const HeaderFields& headers, const MacroValues& values)
{
    if ((terms_.steps & NoHeaders) != 0)
        co_return Verdict();
    const bool leading_space = (terms_.steps & HeaderLeadingSpace) != 0;
    for (const HeaderField& field : headers.all()) {
        if (field.hidden)
            continue;
        std::string data;
        append_text(data, field.name());
        append_text(data, std::string_view(field.value(leading_space)).substr(0, longest_value));
        auto verdict = co_await converse(header_event, data, values);
        if (!verdict || !verdict->passes() || mail_done_)
            co_return verdict;
    }
    co_return Verdict();
}

Task<Result<Verdict>> Filter::show_body(Message& message, const MacroValues& values)
{
    if ((terms_.steps & NoBody) != 0)
        co_return Verdict();
    for (uint64_t offset = 0; offset < message.body_size() && skipped_ != CmdBody;) {
        auto piece = co_await message.read_body(offset, body_chunk_size);
        if (!piece)
            co_return std::move(piece.error());
        offset += piece->size();
        const std::string data(*piece);
        auto verdict = co_await converse(body_event, data, values);
        if (!verdict || !verdict->passes() || mail_done_)
            co_return verdict;
    }
    co_return Verdict();
}

// The changes count when the last reply has come, and lets the message pass.
Task<Result<Verdict>> Filter::end(Message& message, const MacroValues& values)
{
    queue_macros(end_event, values);
    append_packet(output_, end_event.command);
    Edits edits;
    edits.headers = message.headers();
    bool held = false;
    std::string reason;
    size_t changes = 0;
    new_body_size_ = 0;
    auto reply = co_await read_reply(filter_.content_timeout);
    while (reply && reply->is_change()) {
        if (++changes > most_changes)
            co_return Error(ErrorKind::Corrupt, "changes without an end");
        if ((terms_.actions & reply->needed_action) == 0)
            co_return Error(ErrorKind::Corrupt, "a change that was not agreed on");
        if (reply->kind == Reply::Kind::Quarantine) {
            held = true;
            reason = std::move(reply->value);
        } else {
            CO_CHECK(co_await note_change(std::move(*reply), edits, message));
        }
        if (input_.empty())
            acknowledge();
        reply = co_await read_reply(filter_.content_timeout);
    }
    if (!reply)
        co_return std::move(reply.error());
    if (reply->kind == Reply::Kind::Skip)
        co_return Error(ErrorKind::Corrupt, "a reply to skip what cannot be skipped");
    mail_ = false;
    replaces_body_ = false;
    Verdict verdict = conclude(end_event, std::move(*reply));
    if (!verdict.passes()) {
        message.forget_new_body();
        co_return verdict;
    }
    message.apply(std::move(edits));
    if (held) {
        verdict = Verdict(Verdict::Kind::Hold);
        verdict.reason = std::move(reason);
    }
    co_return verdict;
}

Task<Result<void>> Filter::note_change(Reply change, Edits& edits, Message& message)
{
    const bool leading_space = (terms_.steps & HeaderLeadingSpace) != 0;
    const bool of_header = change.kind == Reply::Kind::AddHeader || change.kind == Reply::Kind::InsertHeader
                           || change.kind == Reply::Kind::ChangeHeader;
    if (of_header && !is_field_name(change.name))
        co_return Error(ErrorKind::Corrupt, cat("\"", change.name, "\" is no name of a header field"));
    switch (change.kind) {
    case Reply::Kind::AddHeader:
        edits.headers.add(HeaderField::make(change.name, change.value, leading_space));
        break;
    case Reply::Kind::InsertHeader:
        edits.headers.insert(change.index, HeaderField::make(change.name, change.value, leading_space));
        break;
    case Reply::Kind::ChangeHeader:
        if (change.value.empty())
            edits.headers.remove(change.index, change.name);
        else
            edits.headers.change(change.index, HeaderField::make(change.name, change.value, leading_space));
        break;
    case Reply::Kind::ChangeSender:
        edits.sender = std::move(change.name);
        break;
    case Reply::Kind::AddRecipient:
    case Reply::Kind::DeleteRecipient:
        if (edits.recipients.size() == most_recipients)
            co_return Error(ErrorKind::Corrupt, "recipients without an end");
        if (change.name.size() + change.value.size() > longest_recipient)
            co_return Error(ErrorKind::Corrupt, "a recipient without an end");
        edits.recipients.emplace_back(change.kind == Reply::Kind::AddRecipient, std::move(change.name),
                                      std::move(change.value));
        break;
    case Reply::Kind::ReplaceBody:
        new_body_size_ += change.value.size();
        if (settings_.body_limit > 0 && new_body_size_ > settings_.body_limit)
            co_return Error(ErrorKind::Corrupt, "a new body that is larger than any message");
        edits.new_body = true;
        replaces_body_ = true;
        CO_CHECK(co_await message.append_new_body(change.value));
        break;
    default:
        break;
    }
    if (edits.headers.size() > settings_.header_limit)
        co_return Error(ErrorKind::Corrupt, "header fields without an end");
    co_return Result<void>();
}

} // namespace posthouse::milter
