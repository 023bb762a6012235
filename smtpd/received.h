// The Received: header that this server puts before a message (RFC 5321 section 4.4, in Postfix's shape).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace posthouse::smtpd {

struct ReceivedFacts {
    std::string_view helo;        // "": the client's name stands in its place
    std::string_view client_name; // "unknown" when it has none
    std::string_view client_literal; // "192.0.2.1", "IPv6:2001:db8::1"
    std::string_view hostname;
    std::string_view mail_name;
    std::string_view protocol; // "SMTP", "ESMTP", "LMTP"
    bool smtputf8 = false;
    bool encrypted = false;
    bool authenticated = false;
    std::string_view user; // who has logged in, where that is told (smtpd_sasl_authenticated_header)
    std::string_view tls; // "using TLSv1.3 ...", lines folded; "": not told of
    std::string_view tls_client; // of its certificate: "No client certificate requested"
    bool hide_client = false;      // smtpd_hide_client_session
    std::string_view queue_id;
    std::string_view only_recipient; // "" when there are several: none may learn of another
    int64_t arrival_us = 0;
};

// With CRLF at the end of each line.
std::string received_header(const ReceivedFacts& facts);

} // namespace posthouse::smtpd
