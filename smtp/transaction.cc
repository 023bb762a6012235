// The dialogue that hands one message to one host, see transaction.h: MAIL to the reply after the data, pipelined where
// the host can. Called by delivery.cc with a session after EHLO; decides nothing about other hosts.
#include "smtp/transaction.h"

#include "lib/base/cat.h"
#include "lib/table/list_items.h"
#include "smtp/content_sender.h"

namespace posthouse::smtp_client {

namespace {

// Commands that wait for replies at a time: more could fill both directions of the connection.
constexpr size_t most_in_flight = 16384;

// In the order of Step.
constexpr const char* command_names[] = {"RSET command", "XFORWARD command", "MAIL FROM command", "RCPT TO command",
                                         "DATA command"};
constexpr const char* doing_texts[] = {"sending RSET", "sending XFORWARD", "sending MAIL FROM", "sending RCPT TO",
                                       "sending DATA command"};
constexpr const char* end_of_data = "sending end of data -- message may be sent more than once";

} // namespace

Transaction::Transaction(Session& session, const Settings& settings, const queue::DeliveryRequest& request,
                         Results& results, ThreadPool& pool)
    : session_(session), settings_(settings), request_(request), results_(results), pool_(pool), open_(results.open_positions()),
      needs_reset_(session.needs_reset), is_probe_(mail::is_probe(request.envelope))
{
}

Task<Transaction::End> Transaction::run()
{
    results_.use_relay(session_.host().with_port());
    results_.transaction_begins();
    refuse_bad_addresses();
    if (open_.empty() || refuse_before_sending())
        co_return End::Over;
    if (settings_.send_xforward && !session_.features().xforward.empty())
        xforward_ = smtp::xforward_commands(request_.envelope, session_.features().xforward);
    const bool reused = session_.messages++ > 0;
    const bool answered = co_await exchange_commands();
    if (!answered) {
        if (reused && !any_reply_)
            co_return End::NeverBegan;
        co_return End::Over;
    }
    if (got_354_ && accepted_.empty()) {
        co_await send_nothing();
    } else if (got_354_ && results_.given_up) {
        session_.broken = true;
    } else if (got_354_) {
        results_.sending = true;
        co_await send_message();
        results_.sending = false;
    }
    co_return End::Over;
}

// Intake takes none; a file that an older one wrote, or that was changed, may still hold them.
void Transaction::refuse_bad_addresses()
{
    const bool bad_sender = table::breaks_apart(request_.envelope.sender);
    std::erase_if(open_, [&](size_t position) {
        const std::string& address = request_.envelope.recipients[position].address;
        if (!bad_sender && !table::breaks_apart(address))
            return false;
        results_.failed(position, Trouble(true, bad_sender ? "5.1.7" : "5.1.3",
                                          bad_sender ? "bad sender address syntax" : "bad address syntax"));
        return true;
    });
}

// What can be known from the host's offers alone.
bool Transaction::refuse_before_sending()
{
    const Features& features = session_.features();
    const std::string host = session_.host().with_address();
    if (features.size_limit > 0 && request_.content.size > features.size_limit) {
        const Trouble trouble(true, "5.3.4",
                              cat("message size ", request_.content.size, " exceeds size limit ", features.size_limit,
                                  " of server ", host));
        for (size_t position : open_)
            results_.failed(position, trouble);
        return true;
    }
    if (settings_.requiretls && needs_tls(request_, session_.host())) {
        results_.note_all(Trouble(true, "5.7.30", cat("REQUIRETLS support required, but the connection to host ", host,
                                                      " is not encrypted")));
        return true;
    }
    if (!features.smtputf8 && needs_smtputf8(request_)) {
        // Another host of the destination may offer it.
        results_.note_all(Trouble(true, "5.6.7", cat("SMTPUTF8 is required, but was not offered by host ", host)));
        return true;
    }
    return false;
}

// ---- the commands

Transaction::Step Transaction::step_at(size_t number) const
{
    if (needs_reset_ && number == 0)
        return Step::Reset;
    if (number < mail_step())
        return Step::Xforward;
    if (number == mail_step())
        return Step::Mail;
    return number == first_rcpt() + open_.size() ? Step::Data : Step::Rcpt;
}

void Transaction::append_command(size_t number, std::string& out) const
{
    switch (step_at(number)) {
    case Step::Reset:
        out.append("RSET\r\n");
        break;
    case Step::Xforward:
        out.append(xforward_[number - first_xforward()]);
        break;
    case Step::Mail:
        out.append(mail_command(request_, session_.features()));
        break;
    case Step::Rcpt:
        out.append(rcpt_command(request_.envelope.recipients[open_[number - first_rcpt()]], session_.features()));
        break;
    case Step::Data:
        out.append("DATA\r\n");
        break;
    }
}

Deadline Transaction::deadline_for(Step step) const
{
    switch (step) {
    case Step::Reset:
        return Deadline::after(settings_.rset_timeout);
    case Step::Xforward:
        return Deadline::after(settings_.xforward_timeout);
    case Step::Mail:
        return Deadline::after(settings_.mail_timeout);
    case Step::Rcpt:
        return Deadline::after(settings_.rcpt_timeout);
    case Step::Data:
        break;
    }
    return Deadline::after(settings_.data_init_timeout);
}

// Queues the next commands: one, or as many as may wait for their replies.
void Transaction::send_batch(size_t& sent, size_t read)
{
    std::string& out = session_.chat().output();
    const bool pipelining = session_.features().pipelining;
    while (sent < step_count() && (sent == read || (pipelining && out.size() < most_in_flight))) {
        const bool is_data = step_at(sent) == Step::Data;
        // When all recipients are known to be refused there is nothing to send data for.
        if (is_data && sent == read && accepted_.empty()) {
            stopped_ = true;
            return;
        }
        append_command(sent++, out);
    }
}

// False when the session is lost.
Task<bool> Transaction::exchange_commands()
{
    size_t sent = 0;
    size_t read = 0;
    session_.needs_reset = true;
    while (read < step_count()) {
        if (read == sent) {
            if (!stopped_)
                send_batch(sent, read);
            if (read == sent)
                co_return true;
        }
        const Step step = step_at(read);
        const Deadline deadline = deadline_for(step);
        Result<void> written;
        if (!session_.chat().output().empty())
            written = co_await session_.chat().flush(deadline);
        if (!written) {
            lose_session(written.error(), doing_texts[static_cast<size_t>(step)]);
            co_return false;
        }
        auto reply = co_await session_.chat().read_reply(deadline);
        if (!reply) {
            lose_session(reply.error(), doing_texts[static_cast<size_t>(step)]);
            co_return false;
        }
        if (reply->code == 421 && session_.messages > 1 && !any_reply_) {
            session_.broken = true; // it has closed a connection that was kept
            co_return false;
        }
        any_reply_ = true;
        take_reply(read++, *reply);
        if (session_.broken)
            co_return false;
    }
    co_return true;
}

void Transaction::take_reply(size_t number, smtp::Reply& reply)
{
    const Step step = step_at(number);
    if (reply.code == 421) {
        session_.broken = true;
        const Trouble trouble = trouble_from(reply, command_names[static_cast<size_t>(step)]);
        results_.site = trouble;
        results_.note_all(trouble);
        return;
    }
    switch (step) {
    case Step::Reset:
        break; // whatever it says: MAIL will show
    case Step::Xforward:
    case Step::Mail:
        if (!reply.positive() && !stopped_)
            message_refused(reply, step);
        break;
    case Step::Rcpt:
        if (!stopped_)
            take_rcpt_reply(open_[number - first_rcpt()], reply);
        break;
    case Step::Data:
        got_354_ = reply.intermediate();
        if (!got_354_ && !stopped_ && !accepted_.empty())
            message_refused(reply, step);
        break;
    }
}

void Transaction::take_rcpt_reply(size_t position, smtp::Reply& reply)
{
    if (reply.positive() && is_probe_) {
        results_.delivered(position, reply, settings_.lmtp ? queue::DeliveryAction::Delivered : queue::DeliveryAction::Relayed,
                           false);
        return;
    }
    if (reply.positive()) {
        accepted_.push_back(position);
        return;
    }
    if (reply.code == 552) { // too many recipients, of old servers (RFC 5321 section 4.5.3.1.10)
        reply.code = 452;
        if (!reply.dsn.empty())
            reply.dsn.front() = '4';
    }
    const Trouble trouble = trouble_from(reply, "RCPT TO command");
    if (trouble.permanent)
        results_.failed(position, trouble);
    else
        results_.note(position, trouble);
}

// The message as a whole: for all recipients that are open.
void Transaction::message_refused(const smtp::Reply& reply, Step step)
{
    stopped_ = true;
    accepted_.clear();
    const Trouble trouble = trouble_from(reply, command_names[static_cast<size_t>(step)]);
    for (size_t position : open_) {
        if (!results_.open(position))
            continue;
        if (trouble.permanent)
            results_.failed(position, trouble);
        else
            results_.note(position, trouble);
    }
}

// ---- the content

// An unwanted 354: it is owed an end of data. What it says to that concerns nobody.
Task<void> Transaction::send_nothing()
{
    const Deadline deadline = Deadline::after(settings_.data_done_timeout);
    session_.chat().queue(".\r\n");
    auto written = co_await session_.chat().flush(deadline);
    if (!written) {
        session_.broken = true;
        co_return;
    }
    auto reply = co_await session_.chat().read_reply(deadline);
    session_.broken = !reply || reply->code == 421;
}

Task<void> Transaction::send_message()
{
    ContentSender sender(session_, settings_, request_, pool_);
    auto trouble = co_await sender.run();
    if (!trouble) {
        co_await take_final_replies();
        co_return;
    }
    session_.broken = true; // without its final dot the message is void
    if (sender.fault() == ContentSender::Fault::Connection) {
        results_.site = *trouble;
        for (size_t position : accepted_)
            results_.note(position, *trouble);
        co_return;
    }
    // No other host can get what cannot be read.
    for (size_t position : open_)
        if (results_.open(position))
            results_.failed(position, *trouble);
}

// SMTP: one reply for all. LMTP: one for each recipient that was accepted (RFC 2033 section 4.2).
Task<void> Transaction::take_final_replies()
{
    const Deadline deadline = Deadline::after(settings_.data_done_timeout);
    size_t next = 0;
    while (next < accepted_.size()) {
        auto reply = co_await session_.chat().read_reply(deadline);
        if (!reply) {
            session_.broken = true;
            const Trouble trouble = Trouble::from_stream(reply.error(), session_.host().with_address(), end_of_data);
            results_.site = trouble;
            for (; next < accepted_.size(); ++next)
                results_.failed(accepted_[next], trouble);
            co_return;
        }
        session_.broken = session_.broken || reply->code == 421;
        const size_t count = settings_.lmtp ? next + 1 : accepted_.size();
        for (; next < count; ++next)
            take_final_reply(accepted_[next], *reply);
    }
    session_.needs_reset = false;
}

void Transaction::take_final_reply(size_t position, const smtp::Reply& reply)
{
    if (reply.positive()) {
        const bool passes_dsn = session_.features().dsn;
        const auto action = settings_.lmtp ? queue::DeliveryAction::Delivered : queue::DeliveryAction::Relayed;
        results_.delivered(position, reply, action, passes_dsn);
        return;
    }
    const Trouble trouble = trouble_from(reply, "end of DATA command");
    if (reply.code == 421)
        results_.site = trouble;
    // A clear refusal: it has not taken the message, so another host may be asked after a 4xx.
    if (trouble.permanent)
        results_.failed(position, trouble);
    else
        results_.note(position, trouble);
}

// ---- trouble

void Transaction::lose_session(const Error& error, const char* doing_what)
{
    session_.broken = true;
    const Trouble trouble = Trouble::from_stream(error, session_.host().with_address(), doing_what);
    results_.site = trouble;
    results_.note_all(trouble);
}

Trouble Transaction::trouble_from(const smtp::Reply& reply, const char* in_reply_to) const
{
    return Trouble::from_reply(reply, session_.host().name, session_.host().with_address(), in_reply_to);
}

} // namespace posthouse::smtp_client
