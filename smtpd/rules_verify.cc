// reject_unverified_sender and reject_unverified_recipient: what a probe has found out about an address (verifier.h),
// as a verdict.
#include "lib/base/cat.h"
#include "smtpd/evaluation.h"
#include "smtpd/server.h"
#include "smtpd/verifier.h"

namespace posthouse::smtpd {

namespace {

// What a host said about its recipient, said about a sender or a recipient of ours (RFC 3463 section 3.2), with the class
// of our reply.
std::string dsn_for(Subject subject, int code, std::string_view said)
{
    const bool of_sender = subject == Subject::Sender;
    std::string_view detail = said.size() > 2 ? said.substr(1) : "";
    if (detail.empty() || detail == ".0.0")
        detail = of_sender ? ".1.7" : ".1.1";
    if (of_sender && detail == ".1.1")
        detail = ".1.0";
    if (of_sender && detail == ".1.2")
        detail = ".1.8";
    if (of_sender && detail == ".1.3")
        detail = ".1.7";
    return cat(code / 100, detail);
}

} // namespace

Task<Verdict> Evaluation::reject_unverified(const Rule& rule)
{
    const Subject subject = static_cast<Subject>(rule.type->variant);
    const Mailbox* box = mailbox(subject);
    Verifier& verifier = *case_.server.verifier;
    if (!box || box->completed.empty() || verifier.is_sender(box->completed))
        co_return Verdict();
    std::string address = box->completed;
    const queue::VerifiedAddress known = co_await verifier.ask(std::move(address));
    const UnverifiedReply& reply = subject == Subject::Sender ? verifier.senders : verifier.recipients;
    if (known.status == queue::DeliveryStatus::Delivered)
        co_return Verdict();
    if (known.status == queue::DeliveryStatus::Failed) {
        const std::string& why = reply.reject_reason.empty() ? known.text : reply.reject_reason;
        co_return rejected(reply.reject_code, dsn_for(subject, reply.reject_code, known.dsn), subject,
                           cat("undeliverable address: ", why));
    }
    Verdict later = rejected(reply.defer_code, dsn_for(subject, reply.defer_code, known.dsn), subject,
                             cat("unverified address: ", known.text));
    if (reply.defer_at_once)
        co_return later;
    if (!warn_only_ && !defer_if_permit_)
        defer_if_permit_ = std::move(later);
    co_return Verdict();
}

} // namespace posthouse::smtpd
