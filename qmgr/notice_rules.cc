// Who hears of what, see notice_rules.h: asked by results.cc and notice_writer.cc. placement.cc has error: and the like
// made into outcomes here.
#include "qmgr/notice_rules.h"

#include "lib/base/ascii.h"

#include <utility>

namespace posthouse::qmgr {

namespace {

// Length of "D.DDD.DDD" (RFC 3463 section 2) at the beginning, 0 when there is none.
size_t status_code_length(std::string_view text)
{
    size_t at = 0;
    for (int part = 0; part < 3; ++part) {
        if (part > 0 && (at >= text.size() || text[at++] != '.'))
            return 0;
        const size_t first = at;
        while (at < text.size() && ascii::is_digit(text[at]))
            ++at;
        const size_t digits = at - first;
        if (digits == 0 || digits > (part == 0 ? 1U : 3U))
            return 0;
    }
    const bool ends = at == text.size() || ascii::is_blank(text[at]);
    return ends && (text[0] == '2' || text[0] == '4' || text[0] == '5') ? at : 0;
}

char class_of(queue::DeliveryStatus status)
{
    switch (status) {
    case queue::DeliveryStatus::Delivered:
        return '2';
    case queue::DeliveryStatus::Deferred:
        return '4';
    case queue::DeliveryStatus::Failed:
        return '5';
    }
    return '4';
}

} // namespace

bool sender_wants(NoticeKind kind, const mail::Recipient& recipient)
{
    const uint8_t notify = recipient.notify;
    if ((notify & mail::NotifyNever) != 0)
        return false;
    switch (kind) {
    case NoticeKind::Failure:
        return notify == mail::NotifyDefault || (notify & mail::NotifyFailure) != 0;
    case NoticeKind::Delay:
        return notify == mail::NotifyDefault || (notify & mail::NotifyDelay) != 0;
    case NoticeKind::Success:
        return (notify & mail::NotifySuccess) != 0;
    }
    return false;
}

bool report_success(const mail::Recipient& recipient, const queue::RecipientOutcome& outcome)
{
    return outcome.status == queue::DeliveryStatus::Delivered && !outcome.dsn_passed_on &&
           outcome.action != queue::DeliveryAction::None && sender_wants(NoticeKind::Success, recipient);
}

Addressee addressee(NoticeKind kind, std::string_view sender, const Notices& notices)
{
    if (ascii::equal(sender, notices.double_bounce_sender))
        return Addressee::Nobody;
    if (!sender.empty())
        return Addressee::Sender;
    return kind == NoticeKind::Failure && notices.double_bounce ? Addressee::Postmaster : Addressee::Nobody;
}

void soften(queue::RecipientOutcome& outcome)
{
    if (outcome.status != queue::DeliveryStatus::Failed)
        return;
    outcome.status = queue::DeliveryStatus::Deferred;
    if (!outcome.dsn.empty() && outcome.dsn[0] == '5')
        outcome.dsn[0] = '4';
}

queue::RecipientOutcome outcome_from_text(uint32_t index, queue::DeliveryStatus status, std::string_view text)
{
    const char its_class = class_of(status);
    std::string dsn = {its_class, '.', '0', '.', '0'};
    text = ascii::trim(text);
    if (const size_t length = status_code_length(text); length > 0) {
        dsn = text.substr(0, length);
        dsn[0] = its_class;
        text = ascii::trim(text.substr(length));
    }
    return queue::RecipientOutcome(0, index, status, std::move(dsn), std::string(text));
}

} // namespace posthouse::qmgr
