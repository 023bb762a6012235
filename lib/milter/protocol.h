// The milter protocol (version 6 and those before it) as Sendmail's libmilter speaks it, from the mail server's side:
// its numbers, what we send as bytes, what filters send as values. Pure; nothing of a filter is believed.
//
// A packet is its length (4 bytes, network order), a command byte, and data. A filter gives each command one final
// reply, or none where it said so in the negotiation (NoReply...); Progress may come before, and changes to the message
// before the reply to the end of the message.
#pragma once

#include "lib/base/result.h"
#include "lib/smtp/reply.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::milter {

inline constexpr uint32_t newest_version = 6;
inline constexpr uint32_t oldest_version = 2;
inline constexpr size_t body_chunk_size = 65535;
// libmilter closes the connection on longer ones.
inline constexpr size_t largest_sent = 65535;
inline constexpr size_t largest_received = 1 << 20;

enum Command : char {
    CmdNegotiate = 'O',
    CmdMacros = 'D',
    CmdConnect = 'C',
    CmdHelo = 'H',
    CmdMail = 'M',
    CmdRcpt = 'R',
    CmdData = 'T',
    CmdUnknown = 'U',
    CmdHeader = 'L',
    CmdEndOfHeader = 'N',
    CmdBody = 'B',
    CmdEndOfMessage = 'E',
    CmdAbort = 'A',
    CmdQuit = 'Q',
};

// What a filter may do to a message.
enum Action : uint32_t {
    MayAddHeader = 0x1,
    MayReplaceBody = 0x2,
    MayAddRecipient = 0x4,
    MayDeleteRecipient = 0x8,
    MayChangeHeader = 0x10,
    MayQuarantine = 0x20,
    MayChangeSender = 0x40,
    MayAddRecipientWithParameters = 0x80,
    MaySetMacros = 0x100,
};

// Steps that a filter does not want to see, or not to answer.
enum Step : uint32_t {
    NoConnect = 0x1,
    NoHelo = 0x2,
    NoMail = 0x4,
    NoRcpt = 0x8,
    NoBody = 0x10,
    NoHeaders = 0x20,
    NoEndOfHeader = 0x40,
    NoReplyHeader = 0x80,
    NoUnknown = 0x100,
    NoData = 0x200,
    MaySkip = 0x400,
    RefusedRecipients = 0x800, // also show recipients that we have refused
    NoReplyConnect = 0x1000,
    NoReplyHelo = 0x2000,
    NoReplyMail = 0x4000,
    NoReplyRcpt = 0x8000,
    NoReplyData = 0x10000,
    NoReplyUnknown = 0x20000,
    NoReplyEndOfHeader = 0x40000,
    NoReplyBody = 0x80000,
    HeaderLeadingSpace = 0x100000, // header values with the blank behind the colon, both ways
};

// Where macros are sent; the values are those in a filter's list of the macros that it wants.
enum class Stage : uint8_t { Connect, Helo, Mail, Rcpt, Data, EndOfMessage, EndOfHeader, Unknown };
inline constexpr size_t stage_count = 8;

// What is offered, or agreed on.
struct Terms {
    Terms() = default;
    uint32_t version = newest_version;
    uint32_t actions = 0;
    uint32_t steps = 0;
};
Terms offer_for(uint32_t version);

struct Negotiated {
    Negotiated() = default;
    Terms terms;
    // Instead of the configured ones, for a stage: macro names as the filter wrote them.
    std::vector<std::pair<Stage, std::vector<std::string>>> macros;
};

// ---- to the filter: each appends one packet
void append_packet(std::string& out, char command, std::string_view data = {});
void append_negotiation(std::string& out, const Terms& offer);
// name NUL value NUL ...; `data` as append_text() made it. Of the command that comes next.
void append_macros(std::string& out, char of_command, std::string_view data);
// A text and its NUL; a NUL within it ends it early.
void append_text(std::string& data, std::string_view text);

// ---- from the filter
// The packets in what has been received, in pieces of any size.
class PacketReader {
public:
    void feed(std::string_view bytes);
    // Command byte and data, valid until the next call; nothing while it is not all there. An Error (Corrupt) when its
    // length cannot be.
    Result<std::optional<std::string_view>> next();
    bool empty() const { return at_ == buffer_.size(); }

private:
    std::string buffer_;
    size_t at_ = 0;
};

struct Reply {
    enum class Kind : uint8_t {
        Continue,
        Accept,
        Reject,
        TempFail,
        Discard,
        Custom, // code and text of its own: `smtp`
        Skip,
        Progress,
        Shutdown,
        // Changes; only before the reply to the end of the message.
        AddHeader,    // name, value
        InsertHeader, // index (0: before all), name, value
        ChangeHeader, // index (of those with that name, from 1), name, value; "" deletes
        ChangeSender, // name: address, value: parameters
        AddRecipient, // name: address, value: parameters
        DeleteRecipient,
        ReplaceBody, // value: the next piece
        Quarantine,  // value: why
    };
    Reply() = default;
    bool is_change() const { return kind >= Kind::AddHeader; }

    Kind kind = Kind::Continue;
    uint32_t needed_action = 0; // for a change: the Action bit that must have been agreed on
    uint32_t index = 0;
    std::string name;
    std::string value;
    smtp::Reply smtp;
};

// A packet as PacketReader gives it. Corrupt when it is none, or its data is not of the right form.
Result<Reply> parse_reply(std::string_view packet);
// The reply to CmdNegotiate. Corrupt; Permanent when it asks for what was not offered.
Result<Negotiated> parse_negotiation(std::string_view packet, const Terms& offer);
// "550 5.7.1 text", of several lines when each but the last has a hyphen behind the code.
Result<smtp::Reply> parse_smtp_reply(std::string_view text);

} // namespace posthouse::milter
