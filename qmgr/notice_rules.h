// Who hears of what becomes of a recipient: pure decisions (RFC 3461 section 5.2, RFC 3464, RFC 5321
// section 6.1 and 4.5.5).
#pragma once

#include "lib/mail/envelope.h"
#include "lib/queue/delivery_protocol.h"
#include "qmgr/settings.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace posthouse::qmgr {

enum class NoticeKind : unsigned char { Failure, Delay, Success };

// Whether the sender of the message wants to hear this of the recipient. Failures and, as Postfix does,
// delays are told unless NOTIFY says otherwise; success only on request, and not when the next host has
// taken the request over (RFC 3461 5.2.1).
bool sender_wants(NoticeKind kind, const mail::Recipient& recipient);
bool report_success(const mail::Recipient& recipient, const queue::RecipientOutcome& outcome);

// Who a message's notices go to.
enum class Addressee : unsigned char {
    Sender,
    Postmaster, // the null sender's failures, when notify_classes has 2bounce
    Nobody,     // and never a bounce about a bounce
};
Addressee addressee(NoticeKind kind, std::string_view sender, const Notices& notices);

// soft_bounce: a permanent failure becomes a reason to wait.
void soften(queue::RecipientOutcome& outcome);

// The text of an error:, retry: or discard: transport: "5.1.1 User unknown" -> 5.1.1, "User unknown". The
// class of the code is made to fit the status.
queue::RecipientOutcome outcome_from_text(uint32_t index, queue::DeliveryStatus status, std::string_view text);

} // namespace posthouse::qmgr
