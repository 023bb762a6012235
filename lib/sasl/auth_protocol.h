// The wire form of Dovecot's auth client protocol (its wiki: "Dovecot Authentication Protocol", versions 1.1 and 1.2):
// lines of fields separated by tabs. Pure: text in, values out, no I/O and no log.
//
//   service: VERSION 1 2 | MECH NAME flags... | SPID pid | CUID number | COOKIE hex | DONE
//   client:  VERSION 1 2 | CPID pid
//   client:  AUTH id mechanism parameters... | CONT id base64 | CANCEL id
//   service: CONT id base64 | OK id user=name ... | FAIL id reason=... temp ...
//
// Whoever runs the service is trusted with every password, but not with our memory: all that it says is bounded.
#pragma once

#include "lib/base/result.h"
#include "lib/base/secret.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace posthouse::sasl {

// What a service says of a mechanism; one bit each. Words that are none of these are passed over.
enum MechanismTrait : uint8_t {
    Anonymous = 1 << 0,
    PlainText = 1 << 1,  // the password itself travels
    Dictionary = 1 << 2, // who listens can try passwords
    Active = 1 << 3,     // who stands in between can
    ForwardSecrecy = 1 << 4,
    MutualAuth = 1 << 5,
    Private = 1 << 6, // not to be offered to clients
};

class Mechanism {
public:
    Mechanism(std::string its_name, uint8_t its_traits) : name(std::move(its_name)), traits(its_traits) {}
    friend bool operator==(const Mechanism&, const Mechanism&) = default;

    std::string name; // upper case; RFC 4422 section 3.1: 1 to 20 of A-Z 0-9 - _
    uint8_t traits;
};

// False for what is no name of a mechanism, in either case of letters.
bool is_mechanism_name(std::string_view text);
// Complete base64 (RFC 4648 section 4): padded, nothing else between. "" is.
bool is_base64(std::string_view text);

// What a service says before it takes requests.
class Handshake {
public:
    static constexpr size_t most_mechanisms = 100;

    // A line without its line end. True when the handshake is over. An Error (Corrupt) when this is no service that
    // we can talk to.
    Result<bool> line(std::string_view line);

    std::vector<Mechanism> mechanisms; // in the order of the service

private:
    bool got_version_ = false;
};

// What a service answers to AUTH or CONT.
class AuthReply {
public:
    enum class Kind : uint8_t { Continue, Accepted, Refused };

    AuthReply(Kind its_kind, uint32_t its_id) : kind(its_kind), id(its_id) {}

    Kind kind;
    uint32_t id;
    std::string challenge; // Continue: base64, for the client as it is
    std::string user;      // Accepted: never empty; Refused: "" when the service does not say
    std::string reason;    // Refused: for the client; may be ""
    bool temporary = false; // Refused: the service could not find out
};

// A line without its line end after the handshake. Nothing for commands that are not known (the protocol lets a
// service say more than we understand); an Error (Corrupt) for a line that breaks the protocol.
Result<std::optional<AuthReply>> parse_reply(std::string_view line);

// A login to be begun. Copyable value with constructors; `initial` is the client's initial response.
class AuthRequest {
public:
    AuthRequest() = default;

    std::string mechanism;
    std::string service = "smtp";
    std::string local_address, remote_address; // "" when not known
    uint16_t local_port = 0, remote_port = 0;  // 0: not known
    bool secured = false;                      // TLS
    std::string certificate_user;              // whom a valid certificate of the client names; "": nobody
    std::optional<Secret> initial;             // base64; absent: the mechanism begins with a challenge
};

// Lines for the service, with line end.
std::string hello_line(long process_id);
Secret auth_line(uint32_t id, const AuthRequest& request);
Secret continue_line(uint32_t id, const Secret& response);
std::string cancel_line(uint32_t id);

} // namespace posthouse::sasl
