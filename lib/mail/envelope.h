// The envelope: who sent a message, to whom, and what was said about it before its content. One value
// type for the queue file, the messages between programs, and the programs themselves.
//
// Addresses are in external form without angle brackets, as parse_path gives them (quoted local parts
// stay quoted). No field may hold NUL, CR or LF: the decoder refuses them, so that no field can break
// out of a record, a log line or a protocol line.
#pragma once

#include "lib/base/result.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::mail {

// RFC 3461 section 4.1, and a mark of ours; values are stored in queue files.
enum Notify : uint8_t {
    NotifyDefault = 0,
    NotifyNever = 1,
    NotifySuccess = 2,
    NotifyFailure = 4,
    NotifyDelay = 8,
    NotifyExpanded = 16, // the alias that recipients beside it stand for: nothing goes there, its sender hears of it
};

// What the members of an alias inherit: success has been reported with the expansion (RFC 3461 section 5.2.7.3).
uint8_t notify_of_members(uint8_t notify);

enum class Return : uint8_t { Unspecified = 0, Full = 1, Headers = 2 };

// sendmail -bv and -v: tell the sender what would be, or was, done. Address verification: find out.
enum Trace : uint8_t {
    TraceNone = 0,
    TraceVerify = 1,   // probe only: no delivery
    TraceDelivery = 2, // report every delivery
    TraceCache = 4,    // with TraceVerify: the answer is for the cache of verified addresses, nobody is told
};

struct Recipient {
    Recipient() = default;
    explicit Recipient(std::string its_address) : address(std::move(its_address)) {}

    std::string address;  // where it goes now, after rewriting and expansion
    std::string original; // as RCPT TO gave it
    std::string orcpt;    // ORCPT decoded: "rfc822;user@example.com", may be empty
    uint8_t notify = NotifyDefault;

    bool operator==(const Recipient&) const = default;
};

struct Envelope {
    Envelope() = default;

    std::string id;
    int64_t arrival_us = 0; // wall clock
    std::string sender;     // "" is the null sender
    std::vector<Recipient> recipients;
    std::string envid; // decoded
    Return ret = Return::Unspecified;
    bool smtputf8 = false;  // the sender asked for SMTPUTF8, or the message needs it
    bool body_8bit = false; // BODY=8BITMIME
    bool hold = false;
    bool no_bounce_copy = false;
    bool requiretls = false;   // RFC 8689: nobody may pass it on without TLS and this demand
    bool tls_optional = false; // RFC 8689 section 3: the header says TLS-Required: No; never with requiretls
    uint8_t trace = TraceNone;

    // Where it came from.
    std::string client_name;
    std::string client_address;
    std::string client_port;
    std::string helo;
    std::string protocol; // "ESMTP", "SMTP", "ESMTPSA", ...
    std::string sasl_method;
    std::string sasl_username;
    std::string sasl_sender;

    std::string rewrite_context; // "local" or "remote"
    std::string content_filter;  // "transport:nexthop" or ""
    std::string verp_delimiters;

    bool operator==(const Envelope&) const = default;
};

struct EnvelopeLimits {
    constexpr EnvelopeLimits() = default;
    size_t recipients = 1000000;
    size_t text = 65536; // bytes of one field
};

// Appends. The form is versioned, little endian, with length-prefixed fields.
void encode(const Envelope& envelope, std::string& out);
void encode(const Recipient& recipient, std::string& out);

// How many bytes encode() would append. An Error of kind Permanent when decode_envelope() would not take them.
Result<uint64_t> encoded_size(const Envelope& envelope, const EnvelopeLimits& limits = EnvelopeLimits());

// Whole input or an Error of kind Corrupt: unknown version, missing or trailing bytes, a field above its
// limit, NUL, CR or LF in a field.
Result<Envelope> decode_envelope(std::string_view bytes, const EnvelopeLimits& limits = EnvelopeLimits());

inline bool is_probe(const Envelope& envelope) { return (envelope.trace & TraceVerify) != 0; }

// Whether sender or recipients cannot be written in ASCII.
bool has_8bit_address(const Envelope& envelope);

} // namespace posthouse::mail
