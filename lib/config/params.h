// The one table of parameters: name, kind, default, range, user and meaning of each. Parsing, range
// checks, postconf and the manual pages come from it. The rows stand by topic in params_*.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace posthouse::config {

enum class Kind : unsigned char {
    Text,
    TextOrFile, // a value that begins with '/' names a file whose first line is the value
    Raw,        // not expanded here: its $names get their values for each message or session
    Boolean,    // yes or no
    Number,
    Size,   // bytes; K, M and G may follow
    Time,   // s, m, h, d or w may follow; the default's unit holds when none does
    List,   // items between commas and white space
    Tables, // a list of type:name
    Choice, // one of the words in `min`, separated by '|'
    Level,  // a generation of defaults, such as 3.6
};

// Which programs use a parameter; or what else is to be said of it.
namespace use {
enum : uint32_t {
    Master = 1 << 0,
    Smtpd = 1 << 1,
    Pickup = 1 << 2,
    Qmgr = 1 << 3,
    Smtp = 1 << 4,
    Local = 1 << 5,
    Commands = 1 << 6, // sendmail, postqueue, postmap, ...
    All = Master | Smtpd | Pickup | Qmgr | Smtp | Local | Commands,
    Intake = Smtpd | Pickup | Qmgr | Local, // whatever puts a message into the queue
    Later = 1 << 16,  // accepted, checked, without effect: the feature is not there yet
    Unused = 1 << 17, // accepted without effect: what it tunes does not exist here
    Lmtp = 1 << 18,   // smtp_NAME has a twin lmtp_NAME with the same default
};
} // namespace use

struct Parameter {
    std::string_view name;
    Kind kind;
    std::string_view def; // "(...)": computed from the host, the text says how
    std::string_view min; // Choice: the words
    std::string_view max; // empty: no limit
    uint32_t used;        // use:: bits
    std::string_view meaning;

    bool computed() const { return !def.empty() && def.front() == '('; }
    bool later() const { return (used & use::Later) != 0; }
    bool unused() const { return (used & use::Unused) != 0; }
};

// All rows, sorted by name.
const std::vector<Parameter>& parameters();
const Parameter* find_parameter(std::string_view name);

// "_destination_concurrency_limit" -> "default_destination_concurrency_limit".
struct TransportSuffix {
    std::string_view suffix;
    std::string_view default_name;
};
std::span<const TransportSuffix> transport_suffixes();
// The suffix with which `name` ends, when it is TRANSPORT_suffix; else nullptr.
const TransportSuffix* transport_suffix_of(std::string_view name);

// The topics, in params_*.cc.
std::span<const Parameter> general_parameters();
std::span<const Parameter> address_parameters();
std::span<const Parameter> smtpd_parameters();
std::span<const Parameter> screening_parameters();
std::span<const Parameter> queue_parameters();
std::span<const Parameter> delivery_parameters();
std::span<const Parameter> smtp_parameters();
std::span<const Parameter> tls_parameters();
std::span<const Parameter> posthouse_parameters();

} // namespace posthouse::config
