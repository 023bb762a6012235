// The fields that intake adds to a message which came without them.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/mail/address_list.h"
#include "lib/mail/date.h"
#include "lib/queue/intake_impl.h"

namespace posthouse::queue {

namespace {

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

} // namespace

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

} // namespace posthouse::queue
