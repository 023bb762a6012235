// Bounces, delay warnings, success reports, and requeued messages, see notice_writer.h: the scheduler says what is due.
#include "qmgr/notice_writer.h"

#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/log/log.h"
#include "lib/mail/date.h"
#include "lib/queue/rewrite.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

namespace posthouse::qmgr {

namespace {

constexpr Duration store_time = Duration::seconds(100);
constexpr uint64_t piece_size = 256 * 1024;

mail::ReportKind report_kind(NoticeKind kind)
{
    switch (kind) {
    case NoticeKind::Failure:
        return mail::ReportKind::Failure;
    case NoticeKind::Delay:
        return mail::ReportKind::Delay;
    case NoticeKind::Success:
        return mail::ReportKind::Success;
    }
    return mail::ReportKind::Failure;
}

std::string_view notice_name(NoticeKind kind)
{
    switch (kind) {
    case NoticeKind::Failure:
        return "non-delivery";
    case NoticeKind::Delay:
        return "delay";
    case NoticeKind::Success:
        return "delivery status";
    }
    return "";
}

// RFC 3464 section 2.3.3.
std::string_view action_of(NoticeKind kind, const Message& message, const queue::RecipientOutcome& outcome)
{
    if (kind == NoticeKind::Failure)
        return "failed";
    if (kind == NoticeKind::Delay)
        return "delayed";
    if ((message.envelope.trace & mail::TraceVerify) != 0) // the words of Postfix's reports
        return outcome.status == queue::DeliveryStatus::Delivered ? "deliverable" : "undeliverable";
    switch (outcome.action) {
    case queue::DeliveryAction::Relayed:
        return "relayed";
    case queue::DeliveryAction::Expanded:
        return "expanded";
    case queue::DeliveryAction::Delivered:
    case queue::DeliveryAction::None:
        return "delivered";
    }
    return "delivered";
}

mail::ReportRecipient reported(NoticeKind kind, const Message& message, queue::RecipientOutcome outcome)
{
    const mail::Recipient& recipient = message.recipients[outcome.index];
    mail::ReportRecipient report;
    report.address = recipient.address;
    report.orcpt = recipient.orcpt;
    report.original = recipient.original;
    report.action = action_of(kind, message, outcome);
    report.status = std::move(outcome.dsn);
    report.text = std::move(outcome.text);
    report.remote_mta = std::move(outcome.remote_mta);
    report.diagnostic = std::move(outcome.diagnostic);
    return report;
}

// Runs in the thread pool: `file` is its own.
Result<std::string> read_piece(int fd, uint64_t offset, uint64_t size)
{
    std::string bytes(size, '\0');
    auto got = pread_full(fd, bytes.data(), bytes.size(), offset);
    if (!got)
        return std::move(got.error());
    if (*got != size)
        return Error(ErrorKind::Corrupt, "the queue file is shorter than its content");
    return bytes;
}

} // namespace

NoticeWriter::NoticeWriter(ThreadPool& threads, queue::SlotPool& pool, const Settings& settings)
    : threads_(threads), pool_(pool), settings_(settings)
{
}

Result<void> NoticeWriter::open_tables(const config::Config& config, const table::Context& context)
{
    auto opened = queue::IntakeTables::open(config, context);
    if (!opened)
        return std::move(opened.error());
    tables_ = std::move(*opened);
    config_ = &config;
    context_ = context;
    return Result<void>();
}

// Opened anew when a file behind them was replaced.
std::shared_ptr<queue::IntakeTables> NoticeWriter::tables()
{
    if (tables_->stale())
        if (auto opened = open_tables(*config_, *context_); !opened)
            log::warning("address tables have changed but cannot be opened: ", opened.error().full_text(),
                         "; the old ones stay in use");
    return tables_;
}

Task<Result<void>> NoticeWriter::send(NoticeKind kind, const Message& message,
                                      std::vector<queue::RecipientOutcome> outcomes)
{
    const Notices& notices = settings_.notices;
    const Addressee to = addressee(kind, message.envelope.sender, notices);
    if (to == Addressee::Nobody) {
        if (kind == NoticeKind::Failure && !message.from_null_sender())
            log::warning(message.id(), ": undeliverable postmaster notification discarded");
        co_return Result<void>();
    }
    // sendmail -v and -bv ask for a report of every recipient.
    const bool traced = kind == NoticeKind::Success && message.envelope.trace != mail::TraceNone;
    mail::Report report = report_on(kind, message);
    mail::Report copy = report;
    for (queue::RecipientOutcome& outcome : outcomes) {
        const mail::Recipient& recipient = message.recipients[outcome.index];
        mail::ReportRecipient one = reported(kind, message, std::move(outcome));
        copy.recipients.push_back(one);
        if (traced || sender_wants(kind, recipient))
            report.recipients.push_back(std::move(one));
    }
    std::string content;
    const uint64_t length = report.redacted ? 0 : std::min(message.content.size, notices.size_limit);
    auto head = co_await read_content(message.number, message.content.offset, length);
    if (head)
        content = std::move(*head);
    else
        log::warning(message.id(), ": content cannot be returned: ", head.error().full_text());
    report.content = copy.content = content;
    if (!report.recipients.empty()) {
        const bool postmaster = to == Addressee::Postmaster;
        report.for_postmaster = postmaster;
        if (postmaster)
            report.to = notices.double_bounce_recipient;
        const std::string sender = postmaster ? notices.double_bounce_sender : std::string();
        auto id = co_await store(report, sender, report.to);
        if (!id)
            co_return std::move(id.error());
        log::info(message.id(), ": ", postmaster ? "postmaster " : "sender ", notice_name(kind),
                  " notification: ", *id);
    }
    co_return co_await copy_to_postmaster(kind, message, std::move(copy));
}

// notify_classes bounce and delay: headers only. Its loss is no reason to try the rest again.
Task<Result<void>> NoticeWriter::copy_to_postmaster(NoticeKind kind, const Message& message, mail::Report report)
{
    const Notices& notices = settings_.notices;
    const bool wanted = (kind == NoticeKind::Failure && notices.bounce && !message.from_null_sender()) ||
                        (kind == NoticeKind::Delay && notices.delay);
    if (!wanted)
        co_return Result<void>();
    report.for_postmaster = true;
    report.ret = mail::Return::Headers;
    report.to = kind == NoticeKind::Failure ? notices.bounce_recipient : notices.delay_recipient;
    const std::string recipient = report.to;
    auto id = co_await store(std::move(report), notices.double_bounce_sender, recipient);
    if (id)
        log::info(message.id(), ": postmaster ", notice_name(kind), " notification: ", *id);
    else
        log::warning(message.id(), ": cannot notify postmaster: ", id.error().full_text());
    co_return Result<void>();
}

mail::Report NoticeWriter::report_on(NoticeKind kind, const Message& message) const
{
    mail::Report report;
    report.kind = report_kind(kind);
    report.hostname = settings_.hostname;
    report.mail_name = settings_.mail_name;
    report.from = cat("MAILER-DAEMON@", settings_.origin);
    report.to = message.envelope.sender;
    report.queue_id = message.id();
    report.sender = message.envelope.sender;
    report.envid = message.envelope.envid;
    report.arrival_us = message.envelope.arrival_us;
    report.now_us = wall_clock_us();
    report.expires_us = message.envelope.arrival_us + settings_.retry.message_lifetime_s * 1000000;
    // RFC 8689 section 5: RET=FULL does not count, and the report asks for TLS itself when it shows anything.
    report.requiretls = message.envelope.requiretls;
    report.redacted = report.requiretls && settings_.notices.redact_requiretls;
    report.ret = report.requiretls ? mail::Return::Headers : message.envelope.ret;
    report.smtputf8 = message.envelope.smtputf8;
    report.content_limit = settings_.notices.size_limit;
    return report;
}

Task<Result<std::string>> NoticeWriter::store(mail::Report report, std::string sender, std::string recipient)
{
    const Deadline deadline = Deadline::after(store_time);
    auto slot = co_await pool_.begin(deadline);
    if (!slot)
        co_return std::move(slot.error());
    const std::shared_ptr<queue::IntakeTables> its_tables = tables();
    queue::Intake intake(*its_tables, std::move(*slot), queue::RewriteContext::Local,
                         queue::AddressMappings::WithoutBcc);
    report.message_id = cat('<', mail::compact_utc_time(report.now_us), '.', intake.id(), '@', report.hostname, '>');
    const std::string content = mail::build_report(report);
    intake.prepend(cat("Received: by ", report.hostname, " (", report.mail_name, ")\r\n\tid ", intake.id(), "; ",
                       mail::format_date(report.now_us), "\r\n"));
    CO_CHECK(co_await intake.content(content));
    mail::Envelope envelope;
    envelope.sender = std::move(sender);
    envelope.recipients.emplace_back(std::move(recipient));
    envelope.smtputf8 = report.smtputf8;
    envelope.requiretls = report.requiretls && !report.redacted;
    envelope.rewrite_context = "local";
    const smtp::ContentFacts facts = smtp::facts_of_content(content);
    envelope.body_8bit = facts.has_8bit_body;
    auto result = co_await intake.finish(std::move(envelope), facts, deadline);
    if (!result)
        co_return std::move(result.error());
    co_return std::move(result->id);
}

Task<Result<std::string>> NoticeWriter::requeue(const Message& message)
{
    const Deadline deadline = Deadline::after(store_time);
    auto slot = co_await pool_.begin(deadline);
    if (!slot)
        co_return std::move(slot.error());
    mail::Envelope envelope = message.envelope;
    envelope.hold = false;
    for (size_t index = 0; index < message.recipients.size(); ++index)
        if (message.pending(index))
            envelope.recipients.push_back(message.recipients[index]);
    const std::shared_ptr<queue::IntakeTables> its_tables = tables();
    queue::Intake intake(*its_tables, std::move(*slot), queue::rewrite_context_from(envelope.rewrite_context),
                         queue::AddressMappings::WithoutBcc); // its copies are on their way
    for (uint64_t at = 0; at < message.content.size; at += piece_size) {
        const uint64_t length = std::min(piece_size, message.content.size - at);
        auto piece = co_await read_content(message.number, message.content.offset + at, length);
        if (!piece)
            co_return std::move(piece.error());
        CO_CHECK(co_await intake.content(*piece));
    }
    const std::string new_id = intake.id();
    CO_CHECK(co_await pool_.set_successor(message.number, new_id));
    auto result = co_await intake.finish(std::move(envelope), message.content.facts, deadline);
    if (!result)
        co_return std::move(result.error());
    co_return std::move(result->id);
}

Task<Result<std::string>> NoticeWriter::read_content(uint64_t number, uint64_t offset, uint64_t size)
{
    auto file = pool_.open_message(number);
    if (!file)
        co_return std::move(file.error());
    // Owner: the function, which the pool may run on after this task was cancelled.
    const auto shared = std::make_shared<UniqueFd>(std::move(*file));
    std::function<Result<std::string>()> read = [shared, offset, size] { return read_piece(shared->get(), offset, size); };
    co_return co_await in_pool(threads_, std::move(read));
}

} // namespace posthouse::qmgr
