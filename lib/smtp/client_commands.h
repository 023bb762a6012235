// The commands of a transaction as a client writes them: as a server's Features allow, with CRLF. Pure.
#pragma once

#include "lib/mail/envelope.h"
#include "lib/smtp/features.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::smtp {

// MAIL FROM:<...>, for content of this size when it is known; `eight_bit`: it is more than ASCII.
std::string mail_command(const mail::Envelope& envelope, std::optional<uint64_t> size, bool eight_bit,
                         const Features& features);
std::string rcpt_command(const mail::Recipient& recipient, const Features& features);
// The XFORWARD commands for what the server takes of what is known; may be none.
std::vector<std::string> xforward_commands(const mail::Envelope& envelope, std::string_view offered);
// An address for a server without SMTPUTF8: a domain in other letters becomes A-labels; nullopt when the local
// part needs UTF-8.
std::optional<std::string> ascii_address(const std::string& address);

} // namespace posthouse::smtp
