// Jobs for workers: see mailbox_delivery.h.
#include "local/mailbox_delivery.h"

#include "lib/base/cat.h"
#include "lib/mail/address.h"

namespace posthouse::local {

namespace {
constexpr Duration longest_delivery = Duration::seconds(600); // locks and a slow disk included

// "\\user" is how an alias names the mailbox of a user past that user's own alias: to whoever reads it, the user.
std::string readable(const std::string& address)
{
    if (address.find('\\') == std::string::npos)
        return address;
    auto parsed = mail::parse_address(address);
    if (!parsed || !parsed->local.starts_with('\\'))
        return address;
    return mail::Address(parsed->local.substr(1), parsed->domain).to_text();
}
} // namespace

Outcome Outcome::from_error(const Error& error)
{
    if (error.permanent())
        return failed(std::string(error.dsn()), error.full_text());
    std::string dsn(error.dsn());
    if (!dsn.starts_with('4'))
        dsn = "4.3.0";
    return deferred(std::move(dsn), error.full_text());
}

std::string delivery_headers(const std::string& sender, const mail::Recipient& recipient, bool mark)
{
    std::string headers = cat("Return-Path: <", sender, ">\n");
    if (!recipient.original.empty())
        append_to(headers, "X-Original-To: ", recipient.original, '\n');
    if (mark)
        append_to(headers, "Delivered-To: ", readable(recipient.address), '\n');
    return headers;
}

// deliver_lock_attempts times, deliver_lock_delay apart.
Task<Result<MailboxResult>> MailboxDelivery::deliver_when_unlocked(Account account, MailboxJob job, int message)
{
    const Deadline deadline = Deadline::after(longest_delivery);
    for (uint32_t attempt = 1;; ++attempt) {
        auto result = co_await workers_.deliver(account, job, message, deadline);
        if (!result || result->status != MailboxResult::Status::Locked || attempt >= settings_.lock_attempts)
            co_return std::move(result);
        co_await sleep_for(workers_.loop(), settings_.lock_delay);
    }
}

Task<Outcome> MailboxDelivery::deliver(const queue::DeliveryRequest& request, size_t position, Account account,
                                       std::string path)
{
    if (mail::is_probe(request.envelope))
        co_return Outcome::deliverable("delivers to mailbox");
    MailboxJob job;
    job.aim_at(std::move(path));
    if (account.start == SpawnRequest::Kind::StartFiles && job.kind == MailboxJob::Kind::Mbox)
        job.kind = MailboxJob::Kind::File;
    job.headers = delivery_headers(request.envelope.sender, request.envelope.recipients[position],
                                   settings_.mark_files);
    job.sender = request.envelope.sender;
    job.content = request.content;
    auto result = co_await deliver_when_unlocked(std::move(account), std::move(job), request.file.get());
    if (!result)
        co_return Outcome::from_error(result.error());
    if (result->status == MailboxResult::Status::Failed)
        co_return Outcome::failed(result->dsn, result->text);
    if (result->status != MailboxResult::Status::Delivered)
        co_return Outcome::deferred(result->dsn, result->text);
    Outcome outcome(queue::DeliveryStatus::Delivered, result->dsn, result->text);
    outcome.action = queue::DeliveryAction::Delivered;
    co_return outcome;
}

} // namespace posthouse::local
