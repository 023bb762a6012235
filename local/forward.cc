// Forwarding: see forward.h.
#include "local/forward.h"

#include "lib/base/cat.h"
#include "lib/mail/date.h"
#include "lib/queue/content_reader.h"

#include <functional>
#include <memory>

namespace posthouse::local {

namespace {
constexpr Duration longest_forward = Duration::seconds(300);
constexpr size_t piece_size = 64 * 1024;
} // namespace

mail::Envelope Forwarder::envelope_for(const queue::DeliveryRequest& request, size_t position, const std::string& owner,
                                       const std::vector<std::string>& addresses) const
{
    const mail::Recipient& old = request.envelope.recipients[position];
    mail::Envelope envelope = request.envelope;
    envelope.recipients.clear();
    envelope.id.clear();
    envelope.content_filter.clear();
    envelope.hold = false;
    envelope.trace = mail::TraceNone;
    const bool list = !owner.empty(); // a list takes over: the sender's wishes end here, RFC 3461 5.2.7.1
    if (list) {
        envelope.sender = owner;
        envelope.envid.clear();
        envelope.ret = mail::Return::Unspecified;
    }
    for (const std::string& address : addresses) {
        mail::Recipient recipient(address);
        recipient.original = old.original.empty() ? old.address : old.original;
        if (!list) {
            recipient.orcpt = old.orcpt;
            recipient.notify = mail::notify_of_members(old.notify);
        }
        envelope.recipients.push_back(std::move(recipient));
    }
    return envelope;
}

Task<Result<void>> Forwarder::copy_content(const queue::DeliveryRequest& request, queue::Intake& intake)
{
    auto detached = queue::ContentReader(request.file.get(), request.content).detached();
    if (!detached)
        co_return std::move(detached.error());
    // Owners: this, and the work in the pool, which may outlast a cancelled task.
    const auto reader = std::make_shared<queue::ContentReader>(std::move(*detached));
    while (!reader->at_end()) {
        std::function<Result<std::string>()> work = [reader]() -> Result<std::string> {
            std::string piece(piece_size, '\0');
            const auto got = reader->next(piece.data(), piece.size());
            if (!got)
                return got.error();
            piece.resize(got->size());
            return piece;
        };
        const auto piece = co_await in_pool(pool_, std::move(work));
        if (!piece)
            co_return piece.error();
        CO_CHECK(co_await intake.content(*piece));
    }
    co_return Result<void>();
}

Task<Result<std::string>> Forwarder::forward(const queue::DeliveryRequest& request, size_t position, std::string owner,
                                             std::vector<std::string> addresses)
{
    const Deadline deadline = Deadline::after(longest_forward);
    auto message = co_await source_.begin(deadline);
    if (!message)
        co_return std::move(message.error()).within("forward");
    queue::Intake intake(tables_, std::move(*message), queue::rewrite_context_from(request.envelope.rewrite_context),
                         queue::AddressMappings::WithoutBcc); // which it had when it came in
    const std::string received =
        cat("Received: by ", settings_.host_name, " (", settings_.mail_name, ")\r\n\tid ", intake.id(), "; ",
            mail::format_date(wall_clock_us()), "\r\n");
    intake.prepend(received);
    if (settings_.mark_forwards)
        intake.prepend(cat("Delivered-To: ", request.envelope.recipients[position].address, "\r\n"));
    CO_CHECK(co_await copy_content(request, intake));
    mail::Envelope envelope = envelope_for(request, position, owner, addresses);
    auto result = co_await intake.finish(std::move(envelope), request.content.facts, deadline);
    if (!result)
        co_return std::move(result.error()).within("forward");
    co_return result->id;
}

} // namespace posthouse::local
