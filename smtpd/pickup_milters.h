// Milters and mail that did not come by SMTP (non_smtpd_milters): they are shown a session as a local client would have it.
#pragma once

#include "lib/mail/envelope.h"
#include "lib/queue/intake.h"
#include "lib/smtp/content_facts.h"
#include "smtpd/milter_service.h"

#include <cstddef>
#include <string>

namespace posthouse::pickup {

struct LocalMail {
    LocalMail(queue::Intake& its_intake, smtpd::HeldMessage& its_message, mail::Envelope& its_envelope,
              smtp::ContentFacts& its_facts)
        : intake(its_intake), message(its_message), envelope(its_envelope), facts(its_facts)
    {
    }
    queue::Intake& intake;
    smtpd::HeldMessage& message; // that the intake has filled
    mail::Envelope& envelope;
    smtp::ContentFacts& facts;
    size_t trace_size = 0;
    std::string hostname;
    std::string sender; // as it was submitted
};

enum class Passage : unsigned char { Queue, Discard };

// After the last piece of content, before Intake::finish(): envelope, facts and content are what the milters made of them
// afterwards. A refusal is an Error, permanent or not as its code is.
Task<Result<Passage>> pass_milters(smtpd::MilterService& milters, LocalMail mail);

} // namespace posthouse::pickup
