// Transaction: one message over one session: MAIL, RCPT for each open recipient, DATA, content, and what the
// host says to each. With PIPELINING the commands leave in one write, and the content with its final dot in
// another, so a small message takes two round trips.
//
// Rules of outcome (RFC 5321 section 4.2, 5.1 and Postfix's practice): 5xx to MAIL, RCPT, DATA or the content
// is final; 4xx leaves the recipient open for another host; 421, a lost connection or a time-out end the
// session and count against the site; anything unclear after the final dot is a deferral, never another try
// elsewhere in this delivery, because the message may have been taken.
#pragma once

#include "lib/event/task.h"
#include "lib/event/thread_pool.h"
#include "lib/queue/delivery_protocol.h"
#include "lib/smtp/client_commands.h"
#include "smtp/results.h"
#include "smtp/session.h"
#include "smtp/settings.h"

#include <cstddef>
#include <string>
#include <vector>

namespace posthouse::smtp_client {

// MAIL FROM:<...> as `features` allow, with CRLF. Pure.
std::string mail_command(const queue::DeliveryRequest& request, const Features& features);
// Whether it cannot go to a host without SMTPUTF8.
bool needs_smtputf8(const queue::DeliveryRequest& request);
// Whether its sender forbids the way to this host without TLS (RFC 8689). Not where the way is within this host; and not
// for a notice, which would be lost (section 5).
bool needs_tls(const queue::DeliveryRequest& request, const MailHost& host);

class Transaction {
public:
    Transaction(Session& session, const Settings& settings, const queue::DeliveryRequest& request, Results& results,
                ThreadPool& pool);

    // Over: the session may go on, see Session::broken. NeverBegan: a session used before was found closed,
    // nothing was sent that counts.
    enum class End : unsigned char { Over, NeverBegan };
    Task<End> run();

private:
    enum class Step : unsigned char { Reset, Xforward, Mail, Rcpt, Data };

    // The steps are numbered: reset if needed, XFORWARD commands, MAIL, RCPT for each of open_, DATA. A probe ends before
    // DATA; the session's next transaction begins with a reset.
    size_t step_count() const { return first_rcpt() + open_.size() + (is_probe_ ? 0 : 1); }
    size_t first_xforward() const { return needs_reset_ ? 1 : 0; }
    size_t mail_step() const { return first_xforward() + xforward_.size(); }
    size_t first_rcpt() const { return mail_step() + 1; }
    Step step_at(size_t number) const;
    void append_command(size_t number, std::string& out) const;
    Deadline deadline_for(Step step) const;

    void refuse_bad_addresses();
    bool refuse_before_sending();
    Task<bool> exchange_commands();
    void send_batch(size_t& sent, size_t read);
    void take_reply(size_t number, smtp::Reply& reply);
    void take_rcpt_reply(size_t recipient, smtp::Reply& reply);
    void message_refused(const smtp::Reply& reply, Step step);

    Task<void> send_nothing();
    Task<void> send_message();
    Task<void> take_final_replies();
    void take_final_reply(size_t position, const smtp::Reply& reply);

    void lose_session(const Error& error, const char* doing);
    Trouble trouble_from(const smtp::Reply& reply, const char* in_reply_to) const;

    Session& session_;
    const Settings& settings_;
    const queue::DeliveryRequest& request_;
    Results& results_;
    ThreadPool& pool_;
    std::vector<size_t> open_;     // positions of the recipients to send
    std::vector<size_t> accepted_; // of these, those whose RCPT was taken
    std::vector<std::string> xforward_;
    bool needs_reset_ = false;
    const bool is_probe_;
    bool stopped_ = false;    // nothing more to send: MAIL was refused, or the session is lost
    bool got_354_ = false;
    bool any_reply_ = false;
};

} // namespace posthouse::smtp_client
