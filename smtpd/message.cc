// What DATA and BDAT share: taking a place in the queue, passing the content on, and the end of a message.
//
// From the first accepted byte on the content has to be read to its end whatever happens to it: a failure
// is kept in the Transaction and answered there.
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/rewrite.h"
#include "lib/tls/session_info.h"
#include "smtpd/received.h"
#include "smtpd/sasl_service.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/tls_service.h"

namespace posthouse::smtpd {

namespace {

// What a Received: header says of the client's certificate.
std::string describe_certificate(const tls::SessionInfo& info, bool asked)
{
    if (!info.has_peer_certificate())
        return asked ? "Client did not present a certificate" : "No client certificate requested";
    return cat("Client CN \"", info.subject_name, "\", Issuer \"", info.issuer_name, "\" (",
               info.trust >= tls::PeerTrust::Trusted ? "verified OK" : "not verified", ')');
}

} // namespace

// RFC 5321 section 3.3: without a recipient there is nothing to send.
std::optional<smtp::Reply> Session::check_data_order() const
{
    if (!mail_)
        return smtp::Reply(503, "5.5.1", "Error: need RCPT command");
    if (mail_->envelope.recipients.empty())
        return smtp::Reply(554, "5.5.1", "Error: no valid recipients");
    return std::nullopt;
}

// A queue file of our own, and the headers that go before the message.
Task<std::optional<smtp::Reply>> Session::start_message()
{
    auto denied = co_await judge_stage(Stage::Data, "DATA");
    if (denied)
        co_return denied;
    if (mail_->proxy)
        co_return co_await start_proxied();
    const Deadline deadline = Deadline::after(server_.settings.queue_timeout);
    auto message = co_await server_.source->begin(deadline);
    if (!message) {
        log::warning("no place in the queue for mail from ", client_.label(), ": ", message.error().full_text());
        co_return failure_reply(message.error());
    }
    auto context = co_await server_.local_clients->context_for(client_.name, client_.ip, !login_.user.empty());
    if (!context)
        co_return failure_reply(context.error());

    const int64_t arrival = (*message)->arrival_us();
    const auto mappings = server_.settings.overrides.no_address_mappings ? queue::AddressMappings::Skip
                                                                         : queue::AddressMappings::Apply;
    mail_->envelope.rewrite_context = queue::to_text(*context);
    mail_->intake = std::make_unique<queue::Intake>(*server_.intake_tables, hold_for_milters(std::move(*message)),
                                                    *context, mappings);
    mail_->queue_id = mail_->intake->id();
    mail_->intake->set_sender(mail_->envelope.sender, "");
    fill_envelope();
    log_client();
    if (server_.content_rules)
        mail_->intake->examine(*server_.content_rules, content_origin());
    const std::string trace = trace_headers(arrival);
    mail_->trace_size = trace.size();
    mail_->intake->prepend(trace);
    denied = co_await milters_data();
    if (denied) {
        mail_->intake.reset();
        mail_->held = nullptr;
    }
    co_return denied;
}

void Session::log_client() const
{
    std::string text = cat(mail_->queue_id, ": client=", client_.label());
    if (server_.settings.client_port_logging)
        append_to(text, ':', client_.port);
    if (!login_.user.empty())
        append_to(text, ", sasl_method=", login_.method, ", sasl_username=", login_.user);
    if (!mail_->envelope.sasl_sender.empty())
        append_to(text, ", sasl_sender=", mail_->envelope.sasl_sender);
    if (mail_->envelope.requiretls)
        append_to(text, ", requiretls=yes");
    if (forwarded_) {
        if (!forwarded_->ident.empty())
            append_to(text, ", orig_queue_id=", forwarded_->ident);
        if (!forwarded_->name.empty() || !forwarded_->address.empty())
            append_to(text, ", orig_client=", forwarded_->name.empty() ? "unknown" : forwarded_->name, '[',
                      forwarded_->address.empty() ? "unknown" : forwarded_->address, ']');
    }
    log::info(text);
}

// What access tables asked for comes first, so that it can be told from what came with the message.
std::string Session::trace_headers(int64_t arrival_us) const
{
    std::string headers;
    for (const std::string& line : mail_->actions.prepend)
        append_to(headers, line, "\r\n");
    const auto& recipients = mail_->envelope.recipients;
    const std::string literal = client_.literal();
    ReceivedFacts facts;
    facts.helo = helo_;
    facts.client_name = client_.name;
    facts.client_literal = literal;
    facts.hostname = server_.settings.hostname;
    facts.mail_name = server_.settings.mail_name;
    facts.protocol = !protocol_.empty() ? protocol_ : std::string_view(server_.lmtp ? "LMTP" : "SMTP");
    facts.smtputf8 = mail_->envelope.smtputf8;
    std::string tls_text;
    std::string certificate_text;
    if (const tls::SessionInfo* info = tls_info()) {
        facts.encrypted = true;
        if (server_.tls->settings().received_header) {
            tls_text = info->summary(true, "\r\n\t ");
            certificate_text = describe_certificate(*info, server_.tls->settings().tell_certificate_state);
        }
    }
    facts.tls = tls_text;
    facts.tls_client = certificate_text;
    facts.authenticated = !login_.user.empty();
    if (facts.authenticated && server_.sasl && server_.sasl->received_header)
        facts.user = login_.user;
    facts.hide_client = server_.settings.hide_client_session;
    if (!mail_->proxy)
        facts.queue_id = mail_->queue_id;
    if (recipients.size() == 1)
        facts.only_recipient = recipients.front().original;
    facts.arrival_us = arrival_us;
    return headers + received_header(facts);
}

void Session::fill_envelope()
{
    mail::Envelope& envelope = mail_->envelope;
    envelope.client_name = client_.name;
    envelope.client_address = client_.address;
    envelope.client_port = client_.port;
    envelope.helo = helo_;
    envelope.protocol = protocol_;
    if (forwarded_) {
        const auto take = [](std::string& into, const std::string& value) {
            if (!value.empty())
                into = value;
        };
        take(envelope.client_name, forwarded_->name);
        take(envelope.client_address, forwarded_->address);
        take(envelope.client_port, forwarded_->port);
        take(envelope.helo, forwarded_->helo);
        take(envelope.protocol, forwarded_->protocol);
    }
    envelope.sasl_method = login_.method;
    envelope.sasl_username = login_.user;
}

queue::ContentOrigin Session::content_origin() const
{
    const mail::Envelope& envelope = mail_->envelope;
    queue::ContentOrigin origin(forwarded_ ? cat(envelope.client_name, '[', envelope.client_address, ']') : client_.label());
    origin.sender = envelope.sender;
    origin.recipient = envelope.recipients.back().address;
    origin.protocol = envelope.protocol;
    origin.helo = envelope.helo;
    origin.smtputf8 = envelope.smtputf8;
    return origin;
}

// What access tables asked for, at whatever command: the last of them may come at END-OF-MESSAGE.
// A redirected message goes to that one address alone, past FILTER and BCC (access(5)).
void Session::apply_actions()
{
    mail::Envelope& envelope = mail_->envelope;
    const Actions& actions = mail_->actions;
    envelope.hold = actions.hold;
    if (!actions.redirect.empty()) {
        mail::Recipient target(actions.redirect);
        target.original = actions.redirect;
        envelope.recipients.assign(1, std::move(target));
        return;
    }
    envelope.content_filter = actions.filter.empty() ? server_.settings.content_filter : actions.filter;
    for (const std::string& address : actions.bcc) {
        if (!queue::is_copy_address(address, "BCC of an access table"))
            continue;
        mail::Recipient copy(address);
        copy.original = address;
        copy.notify = mail::NotifyNever;
        envelope.recipients.push_back(std::move(copy));
    }
}

// Passes a piece on, or notes that the message has become impossible. The place in the queue is given
// back at once then: the rest of the content may take its time.
Task<void> Session::take_content(std::string_view piece)
{
    const int64_t limit = server_.settings.message_size_limit;
    if (limit > 0 && mail_->reader.size() > static_cast<uint64_t>(limit))
        fail_content(smtp::Reply(552, "5.3.4", "Error: message file too big"));
    if (mail_->failure || piece.empty())
        co_return;
    if (mail_->proxy) {
        co_await take_proxied(piece);
        co_return;
    }
    auto kept = co_await mail_->intake->content(piece);
    if (!kept)
        fail_content(intake_failure_reply(kept.error()));
}

void Session::fail_content(smtp::Reply reply)
{
    if (mail_->failure)
        return;
    mail_->failure = std::move(reply);
    mail_->intake.reset();
    mail_->proxy.reset();
    mail_->held = nullptr;
}

// LMTP has a reply for each recipient that RCPT has taken, in that order (RFC 2033 section 4.2). One file holds the message
// for all, so all hear the same.
Session::Answer Session::end_message()
{
    const size_t replies = server_.lmtp ? mail_->envelope.recipients.size() : 1;
    smtp::Reply reply = co_await finish_message();
    for (size_t written = 1; written < replies; ++written)
        CO_CHECK(co_await write(reply));
    co_return reply;
}

// The reply at the end of the content. 250 is said when the message is durable, and only then.
Task<smtp::Reply> Session::finish_message()
{
    if (!mail_->failure) {
        auto denied = co_await judge_stage(Stage::EndOfData, "END-OF-MESSAGE");
        if (denied) {
            reset_mail();
            co_return std::move(*denied);
        }
        if (mail_->proxy)
            co_return co_await finish_proxied();
    }
    smtp::ContentFacts facts = mail_->reader.facts();
    if (!mail_->failure) {
        auto denied = co_await milters_message(facts);
        if (denied) {
            reset_mail();
            co_return std::move(*denied);
        }
    }
    if (mail_->failure) {
        smtp::Reply reply = answer_failure(*mail_->failure);
        reset_mail();
        co_return reply;
    }
    const std::string id = mail_->queue_id;
    if (!mail_->actions.discard) {
        apply_actions(); // behind the milters: REDIRECT has the last word
        const Deadline deadline = Deadline::after(server_.settings.queue_timeout);
        mail::Envelope envelope = std::move(mail_->envelope);
        if (server_.settings.detect_smtputf8 &&
            (facts.has_8bit_header || mail::has_8bit_address(envelope)))
            envelope.smtputf8 = true; // RFC 6531 section 3.4
        auto stored = co_await mail_->intake->finish(std::move(envelope), facts, deadline);
        if (!stored) {
            smtp::Reply reply = answer_failure(intake_failure_reply(stored.error()));
            reset_mail();
            co_return reply;
        }
    }
    reset_mail();
    // Who sends mail that is taken is no abuser.
    errors_ = 0;
    junk_ = 0;
    co_return smtp::Reply(250, "2.0.0", cat("Ok: queued as ", id));
}

smtp::Reply Session::failure_reply(const Error& error) const
{
    const bool says_so = error.text().starts_with("Error: ");
    return smtp::Reply(queue::reply_code_for(error), error.dsn(), cat(says_so ? "" : "Error: ", error.text()));
}

// A content check has its own words, and has logged them.
smtp::Reply Session::intake_failure_reply(const Error& error)
{
    const queue::ContentCheck* check = mail_->intake->check();
    mail_->failure_logged = check && check->refusal();
    return mail_->failure_logged ? *check->refusal() : failure_reply(error);
}

smtp::Reply Session::answer_failure(const smtp::Reply& why)
{
    return mail_->failure_logged ? why : refuse(Verdict::refuse(why.code, why.dsn, why.text), "END-OF-MESSAGE");
}

// smtpd_min_data_rate: under smtpd_per_request_deadline a message as a whole gets smtpd_timeout, and more
// as bytes arrive; without it each wait gets smtpd_timeout.
Deadline Session::data_deadline(Instant started) const
{
    const Settings& settings = server_.settings;
    if (!settings.per_request_deadline)
        return Deadline::after(settings.timeout);
    Instant until = started + settings.timeout;
    if (settings.min_data_rate > 0)
        until = until + Duration::milliseconds(static_cast<int64_t>(content_bytes_) * 1000 / settings.min_data_rate);
    return Deadline::at(until);
}

} // namespace posthouse::smtpd
