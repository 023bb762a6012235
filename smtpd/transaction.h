// Transaction: one mail from MAIL until it is accepted, refused or reset. Exists only in between, so that
// a session without one costs little, and nothing of one mail can reach the next.
#pragma once

#include "lib/mail/envelope.h"
#include "lib/queue/intake.h"
#include "lib/smtp/data_reader.h"
#include "lib/smtp/reply.h"
#include "smtpd/evaluation.h"
#include "smtpd/proxy_filter.h"
#include "smtpd/verdict.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace posthouse::smtpd {

class HeldMessage;

struct Transaction {
    Mailbox sender;
    mail::Envelope envelope; // what Intake gets
    Actions actions;         // that access tables asked for
    std::string recipient;   // of the RCPT that is at hand or was refused last, for smtpd_reject_footer
    size_t overshoot = 0;    // recipients beyond the limit
    uint64_t declared_size = 0; // MAIL's SIZE=
    std::string instance;    // for policy servers; "" until one is asked
    bool counted = false;    // as a message of its user and sender domain

    // From DATA or the first BDAT on.
    bool chunking = false;
    std::unique_ptr<queue::Intake> intake; // null again once the content has failed
    std::unique_ptr<ProxyFilter> proxy;    // in its place; from the first recipient on
    std::string queue_id;
    HeldMessage* held = nullptr; // within `intake`, when milters see the message at its end
    size_t trace_size = 0; // bytes of our own header fields, which come first
    smtp::DataReader reader;
    std::optional<smtp::Reply> failure; // what will be answered at the end of the content
    bool failure_logged = false;        // by the content check that wants it
    bool bare_newline_noted = false;    // once in the log is enough
};

} // namespace posthouse::smtpd
