// One drop from maildrop/ into the queue, see pickup_drop.h: called by pickup.cc for each file that it finds. Ends with
// the file removed, left for another time, or moved to corrupt/.
#include "smtpd/pickup_drop.h"

#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/log/log.h"
#include "lib/mail/address.h"
#include "lib/mail/date.h"
#include "lib/mail/dsn.h"
#include "lib/queue/content_checks.h"
#include "lib/queue/drop_file.h"
#include "lib/smtp/data_reader.h"
#include "smtpd/pickup_milters.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace posthouse::pickup {

namespace {

constexpr Duration longest_wait = Duration::seconds(60);
constexpr size_t read_size = 65536;
constexpr int most_of_a_name = 100; // files of one name that are kept in corrupt/

// What cannot be a mail address becomes a local part in quotes, for routing to refuse and bounce.
std::string external_form(const std::string& text)
{
    if (text.empty())
        return text;
    const auto address = mail::parse_address(text);
    return address ? address->to_text() : mail::Address(text, std::string()).to_text();
}

mail::Envelope envelope_from(const queue::DropAttributes& attributes, const smtp::ContentFacts& facts)
{
    mail::Envelope envelope;
    envelope.sender = external_form(attributes.sender);
    envelope.envid = attributes.envid;
    envelope.ret = attributes.ret;
    envelope.smtputf8 = attributes.smtputf8;
    envelope.body_8bit = attributes.body_8bit || facts.has_8bit_body || facts.has_8bit_header;
    envelope.trace = attributes.trace;
    envelope.recipients.reserve(attributes.recipients.size());
    for (const std::string& text : attributes.recipients) {
        envelope.recipients.emplace_back(external_form(text));
        envelope.recipients.back().notify = attributes.notify;
    }
    return envelope;
}

class Drop {
public:
    Drop(DropContext& context, std::string name) : context_(context), name_(std::move(name)) {}

    Task<DropOutcome> take();

private:
    DropOutcome open();
    Result<queue::DropReader::Found> read_on();
    Task<Result<void>> submit();
    void begin(queue::Intake& intake);
    Task<Result<void>> pass_content(queue::Intake& intake, queue::DropReader::Found found);
    void quote(std::string_view content);
    Task<Result<void>> bounce(const Error& why);
    mail::Report report(const Error& why, std::string id) const;
    std::string trace_header(const std::string& id) const;
    DropOutcome quarantine(std::string_view why);
    DropOutcome remove();

    DropContext& context_;
    const std::string name_;
    UniqueFd file_;
    struct stat about_ = {};
    queue::DropReader reader_;
    std::vector<char> buffer_;
    smtp::DataReader lines_;
    std::string id_;
    size_t trace_size_ = 0; // of our own header field, which comes first
    std::string quoted_; // the begin of the content, for a bounce
};

Task<DropOutcome> Drop::take()
{
    if (const DropOutcome outcome = open(); outcome != DropOutcome::Queued)
        co_return outcome;
    auto done = co_await submit();
    if (!done && done.error().permanent() && !reader_.attributes().sender.empty())
        done = co_await bounce(done.error());
    if (done)
        co_return remove();
    if (done.error().kind() == ErrorKind::Corrupt || done.error().permanent())
        co_return quarantine(done.error().full_text());
    log::warning("maildrop/", name_, ": ", done.error().full_text(), " -- will try again");
    co_return DropOutcome::Retry;
}

// Queued here means: go on.
DropOutcome Drop::open()
{
    auto file = open_at(context_.maildrop, name_, O_RDONLY | O_NONBLOCK);
    if (!file && file.error().errno_value() == ENOENT)
        return DropOutcome::Incomplete;
    if (!file && file.error().errno_value() == ELOOP)
        return quarantine("it is a symbolic link");
    // A pickup whose master has died may still be at it, and remove it when it is done.
    if (file && ::flock(file->get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return DropOutcome::Retry;
    if (!file || ::fstat(file->get(), &about_) != 0) {
        log::warning("maildrop/", name_, ": ", file ? std::string("cannot be examined") : file.error().full_text());
        return DropOutcome::Retry;
    }
    if (about_.st_nlink == 0)
        return DropOutcome::Incomplete;
    if (!S_ISREG(about_.st_mode) || about_.st_nlink != 1)
        return quarantine("it is no plain file");
    if (about_.st_mode & S_IXUSR) {
        file_ = std::move(*file);
        return DropOutcome::Queued;
    }
    if (wall_clock_us() / 1000000 - about_.st_mtime < context_.stale_after.whole_seconds())
        return DropOutcome::Incomplete;
    log::warning("maildrop/", name_, ": removed, as its sender never completed it, uid=", about_.st_uid);
    ::unlinkat(context_.maildrop, name_.c_str(), 0);
    return DropOutcome::Rejected;
}

// The next content, or the end; an Error (Corrupt) when the file ends before its end mark.
Result<queue::DropReader::Found> Drop::read_on()
{
    while (true) {
        auto found = reader_.next();
        if (!found || *found != queue::DropReader::Found::NeedMore)
            return found;
        const ssize_t count = ::read(file_.get(), buffer_.data(), buffer_.size());
        if (count < 0)
            return Error::system("read", errno);
        if (count == 0)
            return Error(ErrorKind::Corrupt, "bad drop file: it ends too soon");
        reader_.feed(std::string_view(buffer_.data(), static_cast<size_t>(count)));
    }
}

Task<Result<void>> Drop::submit()
{
    auto message = co_await context_.source.begin(Deadline::after(longest_wait));
    if (!message)
        co_return std::move(message.error());
    buffer_.resize(read_size);
    auto found = read_on();
    if (!found)
        co_return std::move(found.error());
    const bool gateway = reader_.attributes().gateway;
    smtpd::HeldMessage* held = nullptr; // for milters, until they have seen it
    if (context_.milters) {
        std::unique_ptr<smtpd::HeldMessage> holder = context_.milters->hold(std::move(*message));
        held = holder.get();
        *message = std::move(holder);
    }
    queue::Intake intake(context_.tables, std::move(*message),
                         gateway ? queue::RewriteContext::Remote : queue::RewriteContext::Local, context_.mappings);
    begin(intake);
    CO_CHECK(co_await pass_content(intake, *found));
    mail::Envelope envelope = envelope_from(reader_.attributes(), lines_.facts());
    if (context_.detect_smtputf8 && (lines_.facts().has_8bit_header || mail::has_8bit_address(envelope)))
        envelope.smtputf8 = true; // RFC 6531 section 3.4
    envelope.content_filter = context_.content_filter;
    smtp::ContentFacts facts = lines_.facts();
    facts.has_bare = false; // LF is how lines end here; it is no sign of smuggling
    CO_CHECK(co_await intake.end_content());
    const queue::ContentCheck* checked = intake.check();
    if (held && !(checked && (checked->passes() || checked->discards()))) {
        LocalMail mail(intake, *held, envelope, facts);
        mail.trace_size = trace_size_;
        mail.hostname = context_.hostname;
        mail.sender = envelope.sender;
        auto passage = co_await pass_milters(*context_.milters, std::move(mail));
        if (!passage)
            co_return std::move(passage.error());
        if (*passage == Passage::Discard)
            co_return Result<void>();
    }
    auto result = co_await intake.finish(std::move(envelope), facts, Deadline::after(longest_wait));
    if (!result)
        co_return std::move(result.error());
    co_return Result<void>();
}

void Drop::begin(queue::Intake& intake)
{
    const queue::DropAttributes& attributes = reader_.attributes();
    id_ = intake.id();
    log::info(id_, ": uid=", about_.st_uid, " from=<", attributes.sender, '>');
    if (context_.rules) {
        queue::ContentOrigin origin("local");
        origin.sender = attributes.sender;
        if (!attributes.recipients.empty())
            origin.recipient = attributes.recipients.back();
        origin.smtputf8 = attributes.smtputf8;
        intake.examine(*context_.rules, std::move(origin));
    }
    const std::string trace = trace_header(id_);
    trace_size_ = trace.size();
    intake.prepend(trace);
    intake.set_sender(external_form(attributes.sender), attributes.full_name);
}

std::string Drop::trace_header(const std::string& id) const
{
    return cat("Received: by ", context_.hostname, " (", context_.mail_name, ", from userid ", about_.st_uid,
               ")\r\n\tid ", id, "; ", mail::format_date(wall_clock_us()), "\r\n");
}

Task<Result<void>> Drop::pass_content(queue::Intake& intake, queue::DropReader::Found first)
{
    auto found = Result<queue::DropReader::Found>(first);
    while (*found == queue::DropReader::Found::Content) {
        std::string_view left = reader_.content();
        while (!left.empty()) {
            const smtp::DataReader::Step step = lines_.scan_chunk(left);
            left.remove_prefix(step.consumed);
            quote(step.content);
            CO_CHECK(co_await intake.content(step.content));
        }
        found = read_on();
        if (!found)
            co_return std::move(found.error());
    }
    co_return co_await intake.content(lines_.finish_chunks());
}

void Drop::quote(std::string_view content)
{
    if (quoted_.size() < context_.bounce_size_limit)
        quoted_.append(content.substr(0, context_.bounce_size_limit - quoted_.size()));
}

mail::Report Drop::report(const Error& why, std::string id) const
{
    const queue::DropAttributes& attributes = reader_.attributes();
    mail::Report report;
    report.hostname = context_.hostname;
    report.mail_name = context_.mail_name;
    report.from = context_.tables.rewriter().complete("MAILER-DAEMON");
    report.to = external_form(attributes.sender);
    report.now_us = wall_clock_us();
    report.message_id = cat('<', mail::compact_utc_time(report.now_us), '.', id, '@', context_.hostname, '>');
    report.queue_id = id_;
    report.sender = report.to;
    report.envid = attributes.envid;
    report.arrival_us = report.now_us;
    report.ret = attributes.ret;
    report.content_limit = context_.bounce_size_limit;
    report.content = quoted_;
    for (const std::string& text : attributes.recipients) {
        mail::ReportRecipient recipient;
        recipient.address = external_form(text);
        recipient.action = "failed";
        recipient.status = why.dsn();
        recipient.text = why.text();
        report.recipients.push_back(std::move(recipient));
    }
    return report;
}

// Intake refuses it for good: its sender is told, and the file may go. (The recipients of a file that was
// not read to its end are not known; those that follow the content are then not listed.)
Task<Result<void>> Drop::bounce(const Error& why)
{
    const std::string text = why.full_text();
    const mail::Report facts = report(why, name_);
    log::warning(id_, ": ", text, " -- returned to its sender, uid=", about_.st_uid, " from=<", facts.to, '>');
    auto message = co_await context_.source.begin(Deadline::after(longest_wait));
    if (!message)
        co_return std::move(message.error());
    queue::Intake intake(context_.tables, std::move(*message), queue::RewriteContext::Local,
                         queue::AddressMappings::WithoutBcc);
    intake.prepend(trace_header(intake.id()));
    const std::string content = mail::build_report(facts);
    CO_CHECK(co_await intake.content(content));
    mail::Envelope envelope;
    envelope.recipients.emplace_back(facts.to);
    const smtp::ContentFacts content_facts = smtp::facts_of_content(content);
    auto result = co_await intake.finish(std::move(envelope), content_facts, Deadline::after(longest_wait));
    if (!result)
        co_return std::move(result.error());
    co_return Result<void>();
}

DropOutcome Drop::quarantine(std::string_view why)
{
    const auto say = [&](std::string_view what) {
        log::warning("maildrop/", name_, ": ", why, ", uid=", about_.st_uid, " -- ", what);
    };
    // What lies in corrupt/ under that name already is somebody's mail, too.
    for (int number = 0; number <= most_of_a_name; ++number) {
        const std::string name = number == 0 ? name_ : cat(name_, '.', number);
        if (::renameat2(context_.maildrop, name_.c_str(), context_.corrupt, name.c_str(), RENAME_NOREPLACE) == 0) {
            say("moved to corrupt/");
            return DropOutcome::Rejected;
        }
        if (errno != EEXIST)
            break;
    }
    say(cat("left there: ", Error::system("rename into corrupt/", errno).full_text()));
    return DropOutcome::Stuck;
}

DropOutcome Drop::remove()
{
    if (::unlinkat(context_.maildrop, name_.c_str(), 0) == 0 || errno == ENOENT)
        return DropOutcome::Queued;
    log::error("maildrop/", name_, ": queued as ", id_, ", but: ", Error::system("remove", errno).full_text());
    return DropOutcome::Stuck;
}

} // namespace

Task<DropOutcome> take_drop(DropContext& context, std::string name)
{
    Drop drop(context, std::move(name));
    co_return co_await drop.take();
}

} // namespace posthouse::pickup
