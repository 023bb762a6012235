// The dialogue with one milter, see filter.h. What happens at the end of a message is in filter_message.cc.
#include "lib/milter/filter.h"

#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/milter/filter_event.h"
#include "lib/net/service_address.h"

#include <algorithm>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace posthouse::milter {

namespace {

constexpr size_t read_size = 16384;
constexpr size_t most_output = 65536; // queued for a filter that need not answer
constexpr int most_patience = 10;     // times the timeout, however much progress a filter reports

constexpr FilterEvent connect_event = {CmdConnect, Stage::Connect, NoConnect, NoReplyConnect, FilterEvent::OfSession};
constexpr FilterEvent helo_event = {CmdHelo, Stage::Helo, NoHelo, NoReplyHelo, FilterEvent::OfSession};
constexpr FilterEvent mail_event = {CmdMail, Stage::Mail, NoMail, NoReplyMail, FilterEvent::OfMail};
constexpr FilterEvent rcpt_event = {CmdRcpt, Stage::Rcpt, NoRcpt, NoReplyRcpt, FilterEvent::OfRecipient};
constexpr FilterEvent data_event = {CmdData, Stage::Data, NoData, NoReplyData, FilterEvent::OfMail, 4};
constexpr FilterEvent unknown_event = {CmdUnknown, Stage::Unknown, NoUnknown, NoReplyUnknown, FilterEvent::OfCommand, 3};

std::string words_data(const std::vector<std::string>& words)
{
    std::string data;
    for (const std::string& word : words)
        append_text(data, word);
    return data;
}

smtp::Reply reply_rejected() { return smtp::Reply(550, "5.7.1", "Command rejected"); }
smtp::Reply reply_later() { return smtp::Reply(451, "4.7.1", "Service unavailable - try again later"); }
smtp::Reply reply_closing() { return smtp::Reply(421, "4.7.0", "Server closing connection"); }

} // namespace

Filter::Filter(Loop& loop, const FilterSettings& filter, const Settings& settings,
               std::function<net::Resolver&()> resolver)
    : loop_(loop), filter_(filter), settings_(settings), resolver_(std::move(resolver))
{
}

Filter::~Filter()
{
    say_now(CmdQuit);
}

// ---- the events of a session

Task<Verdict> Filter::connect(const ClientFacts& client, const MacroValues& values)
{
    auto opened = co_await open();
    if (!opened)
        co_return fail(opened.error());
    std::string data;
    append_text(data, client.name);
    if (client.address.empty()) {
        data.push_back('U');
    } else {
        data.push_back(client.v6 ? '6' : '4');
        data.push_back(static_cast<char>(client.port >> 8));
        data.push_back(static_cast<char>(client.port & 0xff));
        append_text(data, client.address);
    }
    co_return co_await event(connect_event, std::move(data), values);
}

Task<Verdict> Filter::helo(std::string_view name, const MacroValues& values)
{
    std::string data;
    append_text(data, name);
    co_return co_await event(helo_event, std::move(data), values);
}

Task<Verdict> Filter::mail(const std::vector<std::string>& words, const MacroValues& values)
{
    mail_ = true;
    mail_done_ = false;
    skipped_ = '\0';
    of_mail_.reset();
    std::string data = words_data(words);
    co_return co_await event(mail_event, std::move(data), values);
}

Task<Verdict> Filter::rcpt(const std::vector<std::string>& words, const MacroValues& values, bool refused)
{
    if (refused && !shows_refused_recipients())
        co_return Verdict();
    std::string data = words_data(words);
    co_return co_await event(rcpt_event, std::move(data), values);
}

Task<Verdict> Filter::data(const MacroValues& values)
{
    std::string nothing;
    co_return co_await event(data_event, std::move(nothing), values);
}

Task<Verdict> Filter::unknown(std::string_view line, const MacroValues& values)
{
    std::string data;
    append_text(data, line);
    co_return co_await event(unknown_event, std::move(data), values);
}

// The filter forgets the mail; no reply comes.
void Filter::abort()
{
    if (std::exchange(mail_, false))
        say_now(CmdAbort);
    of_mail_.reset();
}

void Filter::hang_up()
{
    hung_up_ = true;
    if (stream_)
        (void)::shutdown(stream_->fd(), SHUT_RDWR);
}

bool Filter::wants_macro(Stage stage, std::string_view name) const
{
    if (!active())
        return false;
    const auto wanted = std::find_if(macros_.begin(), macros_.end(), [stage](const auto& row) { return row.first == stage; });
    const auto& names = wanted == macros_.end() ? settings_.macros[static_cast<size_t>(stage)] : wanted->second;
    return std::any_of(names.begin(), names.end(), [name](const std::string& macro) { return bare_name(macro) == name; });
}

// ---- one event

Task<Verdict> Filter::event(const FilterEvent& what, std::string data, const MacroValues& values)
{
    if (standing_)
        co_return *standing_;
    if (!active())
        co_return Verdict();
    if (what.scope == FilterEvent::OfMail || what.scope == FilterEvent::OfRecipient) {
        if (of_mail_)
            co_return *of_mail_;
        if (!in_mail())
            co_return Verdict();
    }
    auto verdict = co_await converse(what, data, values);
    if (!verdict)
        co_return fail(verdict.error());
    co_return std::move(*verdict);
}

Task<Result<Verdict>> Filter::converse(const FilterEvent& what, const std::string& data, const MacroValues& values)
{
    if (what.since > terms_.version || skipped_ == what.command || data.size() > largest_sent)
        co_return Verdict();
    queue_macros(what, values); // of unwanted events, too: a filter may ask for their values later
    if ((terms_.steps & what.unwanted) != 0)
        co_return Verdict();
    append_packet(output_, what.command, data);
    const Duration timeout = what.scope == FilterEvent::OfContent ? filter_.content_timeout : filter_.command_timeout;
    if ((terms_.steps & what.unanswered) != 0) {
        if (output_.size() > most_output)
            CO_CHECK(co_await flush(timeout));
        co_return Verdict();
    }
    auto reply = co_await read_reply(timeout);
    if (!reply)
        co_return std::move(reply.error());
    if (reply->is_change())
        co_return Error(ErrorKind::Corrupt, "a change to the message before its end");
    if (reply->kind == Reply::Kind::Skip && ((terms_.steps & MaySkip) == 0 || what.scope != FilterEvent::OfContent))
        co_return Error(ErrorKind::Corrupt, "a reply to skip what cannot be skipped");
    co_return conclude(what, std::move(*reply));
}

// What a final reply means.
Verdict Filter::conclude(const FilterEvent& what, Reply reply)
{
    Verdict verdict;
    switch (reply.kind) {
    case Reply::Kind::Accept:
        if (what.scope == FilterEvent::OfSession) {
            state_ = State::Out;
            say_now(CmdQuit);
            stream_.reset();
        }
        mail_done_ = true;
        return verdict;
    case Reply::Kind::Discard:
        verdict = Verdict(Verdict::Kind::Discard);
        mail_done_ = true;
        return verdict;
    case Reply::Kind::Skip:
        skipped_ = what.command;
        return verdict;
    case Reply::Kind::Reject:
        verdict = Verdict(reply_rejected());
        break;
    case Reply::Kind::TempFail:
        verdict = Verdict(reply_later());
        break;
    case Reply::Kind::Custom:
        verdict = Verdict(std::move(reply.smtp));
        break;
    case Reply::Kind::Shutdown:
        standing_ = Verdict(reply_closing());
        return *standing_;
    default:
        return verdict;
    }
    // A client that is refused stays refused, and so does a mail; a recipient is one of several.
    if (what.scope == FilterEvent::OfSession)
        standing_ = verdict;
    if (what.scope == FilterEvent::OfMail || what.scope == FilterEvent::OfContent)
        of_mail_ = verdict;
    return verdict;
}

Verdict Filter::fail(const Error& why)
{
    log::warning("milter ", filter_.address.to_text(), ": ", why.full_text());
    stream_.reset();
    output_.clear();
    state_ = State::Out;
    const bool half_replaced = std::exchange(replaces_body_, false);
    if (hung_up_) { // by us: no reason to take mail that it has not judged
        standing_ = Verdict(reply_later());
        return *standing_;
    }
    switch (filter_.default_action) {
    case DefaultAction::Accept:
        // What was taken in of a new body is dropped; but the filter had thought the old one unfit.
        return half_replaced ? Verdict(reply_later()) : Verdict();
    case DefaultAction::Reject:
        standing_ = Verdict(smtp::Reply(550, "5.5.0", "Service unavailable"));
        break;
    case DefaultAction::TempFail:
        standing_ = Verdict(reply_later());
        break;
    case DefaultAction::Quarantine:
        standing_ = Verdict(Verdict::Kind::Hold);
        return half_replaced ? Verdict(reply_later()) : *standing_;
    case DefaultAction::Shutdown:
        standing_ = Verdict(reply_closing());
        break;
    }
    return *standing_;
}

// ---- the connection

Task<Result<void>> Filter::open()
{
    const Deadline deadline = Deadline::after(filter_.connect_timeout);
    auto socket = co_await net::connect_to_service(loop_, filter_.address, resolver_, deadline);
    if (!socket)
        co_return std::move(socket.error()).within("connect");
    stream_ = std::make_unique<Socket>(loop_, std::move(*socket));
    auto agreed = co_await negotiate();
    if (!agreed)
        co_return std::move(agreed.error()).within("negotiation");
    state_ = State::Active;
    co_return Result<void>();
}

Task<Result<void>> Filter::negotiate()
{
    const Terms offer = offer_for(filter_.protocol);
    append_negotiation(output_, offer);
    CO_CHECK(co_await flush(filter_.command_timeout));
    const Deadline deadline = Deadline::after(filter_.command_timeout);
    auto packet = co_await read_packet(deadline);
    if (!packet)
        co_return std::move(packet.error());
    auto answer = parse_negotiation(*packet, offer);
    if (!answer)
        co_return std::move(answer.error());
    terms_ = answer->terms;
    macros_ = std::move(answer->macros);
    co_return Result<void>();
}

void Filter::queue_macros(const FilterEvent& what, const MacroValues& values)
{
    if (!what.has_macros)
        return;
    const auto wanted =
        std::find_if(macros_.begin(), macros_.end(), [&](const auto& row) { return row.first == what.stage; });
    const auto& names = wanted == macros_.end() ? settings_.macros[static_cast<size_t>(what.stage)] : wanted->second;
    std::string data;
    for (const std::string& macro : names) {
        const std::string_view name = bare_name(macro);
        std::optional<std::string> value = name == "daemon_name" ? settings_.daemon_name
                                           : name == "v"         ? settings_.version
                                                                 : values.value(name);
        if (!value)
            for (const auto& [default_name, text] : settings_.macro_defaults)
                if (default_name == name)
                    value = text;
        if (!value || data.size() + macro.size() + value->size() > largest_sent - 4)
            continue;
        append_text(data, macro);
        append_text(data, *value);
    }
    append_macros(output_, what.command, data);
}

Task<Result<void>> Filter::flush(Duration timeout)
{
    const Deadline deadline = Deadline::after(timeout);
    auto written = co_await stream_->write_all(output_, deadline);
    output_.clear();
    co_return written;
}

// The final reply, or a change.
Task<Result<Reply>> Filter::read_reply(Duration timeout)
{
    if (!output_.empty())
        CO_CHECK(co_await flush(timeout));
    const Deadline at_last = Deadline::after(timeout * most_patience);
    while (true) {
        const Deadline deadline = Deadline::after(timeout).tighter(at_last);
        auto packet = co_await read_packet(deadline);
        if (!packet)
            co_return std::move(packet.error());
        auto reply = parse_reply(*packet);
        if (!reply)
            co_return std::move(reply.error());
        if (reply->kind == Reply::Kind::Progress) {
            if (at_last.passed(Instant::now()))
                co_return Error::timed_out("nothing but progress");
            continue;
        }
        if (!input_.empty() && !reply->is_change())
            co_return Error(ErrorKind::Corrupt, "more than one reply to one command");
        co_return std::move(*reply);
    }
}

Task<Result<std::string_view>> Filter::read_packet(Deadline deadline)
{
    while (true) {
        auto packet = input_.next();
        if (!packet)
            co_return std::move(packet.error());
        if (*packet)
            co_return **packet;
        CO_CHECK(co_await stream_->wait_readable(deadline));
        char buffer[read_size];
        auto got = co_await stream_->read_some(buffer, sizeof buffer, deadline);
        if (!got)
            co_return std::move(got.error());
        if (*got == 0)
            co_return Error::disconnected("connection closed by the milter");
        input_.feed(std::string_view(buffer, *got));
    }
}

// libmilter writes each change by itself, and its kernel holds the next one back until the first is acknowledged: that
// would take 40 ms for each message. Lasts until the next byte comes.
void Filter::acknowledge() const
{
    const int on = 1;
    (void)::setsockopt(stream_->fd(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on); // there is none on a UNIX socket
}

// Without waiting: what the socket does not take at once is lost with the connection.
void Filter::say_now(char command)
{
    if (!stream_)
        return;
    append_packet(output_, command);
    const ssize_t sent = ::send(stream_->fd(), output_.data(), output_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(output_.size()))
        (void)::shutdown(stream_->fd(), SHUT_RDWR); // the next event sees it
    output_.clear();
}

} // namespace posthouse::milter
