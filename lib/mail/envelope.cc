// The stored form of an envelope: see envelope.h.
//
//   u8 version (2 with a flag that version 1 does not have), then in order: text id, i64 arrival, text sender,
//   text envid, u8 return, u8 flags,
//   u8 trace, eleven texts about the origin, u32 recipient count, recipients.
//   recipient: text address, text original, text orcpt, u8 notify.
//   text: u32 length, bytes. All numbers little endian.
#include "lib/mail/envelope.h"

#include "lib/base/ascii.h"

#include <algorithm>

namespace posthouse::mail {

namespace {

// Version 2 is written only where it says something that a reader of version 1 must not pass over.
constexpr uint8_t plain_version = 1;
constexpr uint8_t tls_version = 2;
constexpr uint8_t flag_smtputf8 = 1;
constexpr uint8_t flag_8bit = 2;
constexpr uint8_t flag_hold = 4;
constexpr uint8_t flag_no_bounce_copy = 8;
constexpr uint8_t flag_requiretls = 16;
constexpr uint8_t flag_tls_optional = 32;
constexpr uint8_t plain_flags = flag_smtputf8 | flag_8bit | flag_hold | flag_no_bounce_copy;
constexpr uint8_t tls_flags = flag_requiretls | flag_tls_optional;
constexpr uint8_t all_flags = plain_flags | tls_flags;
constexpr uint8_t all_notify = NotifyNever | NotifySuccess | NotifyFailure | NotifyDelay | NotifyExpanded;
constexpr uint8_t all_trace = TraceVerify | TraceDelivery | TraceCache;
constexpr size_t smallest_recipient = 3 * 4 + 1;
constexpr size_t fixed_bytes = 1 + 8 + 1 + 1 + 1 + 4; // version, arrival, return, flags, trace, recipient count

// The texts about the origin, in the order of the stored form.
constexpr std::string Envelope::* origin_texts[] = {
    &Envelope::client_name,   &Envelope::client_address, &Envelope::client_port,     &Envelope::helo,
    &Envelope::protocol,      &Envelope::sasl_method,    &Envelope::sasl_username,   &Envelope::sasl_sender,
    &Envelope::rewrite_context, &Envelope::content_filter, &Envelope::verp_delimiters,
};

void put_number(std::string& out, uint64_t value, size_t bytes)
{
    char buffer[8];
    for (size_t i = 0; i < bytes; ++i)
        buffer[i] = static_cast<char>(value >> (8 * i));
    out.append(buffer, bytes);
}

void put_text(std::string& out, std::string_view text)
{
    put_number(out, text.size(), 4);
    out.append(text);
}

bool has_forbidden(std::string_view text)
{
    return text.find_first_of(std::string_view("\0\r\n", 3)) != std::string_view::npos;
}

// Reads fields until one is wrong; from then on gives zero and empty values.
class FieldReader {
public:
    FieldReader(std::string_view bytes, const EnvelopeLimits& limits) : rest_(bytes), limits_(limits) {}

    uint64_t number(size_t bytes)
    {
        if (failed_ || rest_.size() < bytes)
            return fail();
        uint64_t value = 0;
        for (size_t i = 0; i < bytes; ++i)
            value |= uint64_t(static_cast<unsigned char>(rest_[i])) << (8 * i);
        rest_.remove_prefix(bytes);
        return value;
    }
    uint8_t bits(uint8_t allowed)
    {
        const auto value = static_cast<uint8_t>(number(1));
        if (value & ~allowed)
            fail();
        return value;
    }
    std::string text()
    {
        const uint64_t size = number(4);
        if (failed_ || size > limits_.text || size > rest_.size()) {
            fail();
            return std::string();
        }
        const std::string_view value = rest_.substr(0, size);
        if (has_forbidden(value))
            fail();
        rest_.remove_prefix(size);
        return std::string(value);
    }
    uint64_t fail()
    {
        failed_ = true;
        return 0;
    }
    bool ok() const { return !failed_; }
    size_t left() const { return rest_.size(); }

private:
    std::string_view rest_;
    const EnvelopeLimits& limits_;
    bool failed_ = false;
};

uint8_t flags_of(const Envelope& envelope)
{
    const int flags = (envelope.smtputf8 ? flag_smtputf8 : 0) | (envelope.body_8bit ? flag_8bit : 0) |
                      (envelope.hold ? flag_hold : 0) | (envelope.no_bounce_copy ? flag_no_bounce_copy : 0) |
                      (envelope.requiretls ? flag_requiretls : 0) | (envelope.tls_optional ? flag_tls_optional : 0);
    return static_cast<uint8_t>(flags);
}

void read_recipients(FieldReader& reader, const EnvelopeLimits& limits, std::vector<Recipient>& into)
{
    const uint64_t count = reader.number(4);
    if (count > limits.recipients || count > reader.left() / smallest_recipient) {
        reader.fail();
        return;
    }
    into.reserve(count);
    for (uint64_t i = 0; i < count && reader.ok(); ++i) {
        Recipient& recipient = into.emplace_back(reader.text());
        recipient.original = reader.text();
        recipient.orcpt = reader.text();
        recipient.notify = reader.bits(all_notify);
    }
}

} // namespace

void encode(const Recipient& recipient, std::string& out)
{
    put_text(out, recipient.address);
    put_text(out, recipient.original);
    put_text(out, recipient.orcpt);
    put_number(out, recipient.notify, 1);
}

void encode(const Envelope& envelope, std::string& out)
{
    const uint8_t flags = flags_of(envelope);
    put_number(out, (flags & tls_flags) != 0 ? tls_version : plain_version, 1);
    put_text(out, envelope.id);
    put_number(out, static_cast<uint64_t>(envelope.arrival_us), 8);
    put_text(out, envelope.sender);
    put_text(out, envelope.envid);
    put_number(out, static_cast<uint8_t>(envelope.ret), 1);
    put_number(out, flags, 1);
    put_number(out, envelope.trace, 1);
    for (auto text : origin_texts)
        put_text(out, envelope.*text);
    put_number(out, envelope.recipients.size(), 4);
    for (const Recipient& recipient : envelope.recipients)
        encode(recipient, out);
}

Result<uint64_t> encoded_size(const Envelope& envelope, const EnvelopeLimits& limits)
{
    if (envelope.recipients.size() > limits.recipients)
        return Error(ErrorKind::Permanent, "5.5.3", "Error: too many recipients");
    uint64_t size = fixed_bytes;
    bool sound = true;
    const auto add = [&](const std::string& text) {
        size += 4 + text.size();
        sound = sound && text.size() <= limits.text && !has_forbidden(text);
    };
    add(envelope.id);
    add(envelope.sender);
    add(envelope.envid);
    for (auto text : origin_texts)
        add(envelope.*text);
    for (const Recipient& recipient : envelope.recipients) {
        add(recipient.address);
        add(recipient.original);
        add(recipient.orcpt);
        ++size; // notify
    }
    if (!sound)
        return Error(ErrorKind::Permanent, "5.6.0", "Error: an address or a parameter is too long, or has a line end in it");
    return size;
}

Result<Envelope> decode_envelope(std::string_view bytes, const EnvelopeLimits& limits)
{
    FieldReader reader(bytes, limits);
    const uint64_t version = reader.number(1);
    if (version != plain_version && version != tls_version)
        return Error(ErrorKind::Corrupt, "envelope of an unknown version");
    Envelope envelope;
    envelope.id = reader.text();
    envelope.arrival_us = static_cast<int64_t>(reader.number(8));
    envelope.sender = reader.text();
    envelope.envid = reader.text();
    const uint64_t ret = reader.number(1);
    if (ret > static_cast<uint8_t>(Return::Headers))
        reader.fail();
    envelope.ret = static_cast<Return>(ret);
    const uint8_t flags = reader.bits(version == plain_version ? plain_flags : all_flags);
    if (version == tls_version && (flags & tls_flags) == 0)
        reader.fail(); // one form for one envelope
    envelope.smtputf8 = flags & flag_smtputf8;
    envelope.body_8bit = flags & flag_8bit;
    envelope.hold = flags & flag_hold;
    envelope.no_bounce_copy = flags & flag_no_bounce_copy;
    envelope.requiretls = flags & flag_requiretls;
    envelope.tls_optional = flags & flag_tls_optional;
    envelope.trace = reader.bits(all_trace);
    for (auto text : origin_texts)
        envelope.*text = reader.text();
    read_recipients(reader, limits, envelope.recipients);
    if (!reader.ok() || reader.left() > 0)
        return Error(ErrorKind::Corrupt, "envelope is damaged");
    return envelope;
}

uint8_t notify_of_members(uint8_t notify)
{
    if (!(notify & NotifySuccess))
        return notify;
    const auto rest = static_cast<uint8_t>(notify & ~NotifySuccess);
    return rest == NotifyDefault ? static_cast<uint8_t>(NotifyNever) : rest;
}

bool has_8bit_address(const Envelope& envelope)
{
    const auto is_8bit = [](const Recipient& recipient) { return !ascii::all_7bit(recipient.address); };
    return !ascii::all_7bit(envelope.sender) ||
           std::any_of(envelope.recipients.begin(), envelope.recipients.end(), is_8bit);
}

} // namespace posthouse::mail
