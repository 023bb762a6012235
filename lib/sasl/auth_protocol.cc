// Lines of Dovecot's auth client protocol: see auth_protocol.h.
#include "lib/sasl/auth_protocol.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

#include <algorithm>
#include <iterator>

namespace posthouse::sasl {

namespace {

constexpr size_t longest_mechanism = 20; // RFC 4422 section 3.1
constexpr uint32_t major_version = 1;
constexpr size_t longest_name = 1024; // of a user

struct TraitName {
    std::string_view word;
    MechanismTrait trait;
};
constexpr TraitName trait_names[] = {
    {"anonymous", Anonymous},           {"plaintext", PlainText}, {"dictionary", Dictionary}, {"active", Active},
    {"forward-secrecy", ForwardSecrecy}, {"mutual-auth", MutualAuth}, {"private", Private},
};

Error broken(std::string_view what)
{
    return Error(ErrorKind::Corrupt, cat("authentication service: ", what));
}

// The text up to the next tab, which is taken off with it.
std::string_view take_field(std::string_view& line)
{
    const size_t tab = std::min(line.find('\t'), line.size());
    const std::string_view field = line.substr(0, tab);
    line.remove_prefix(std::min(tab + 1, line.size()));
    return field;
}

std::optional<uint32_t> parse_number(std::string_view text)
{
    const auto number = ascii::parse_unsigned(text);
    if (!number || *number > UINT32_MAX)
        return std::nullopt;
    return static_cast<uint32_t>(*number);
}

// What stands for NUL, \001, tab, CR and LF within a field is \001 and one of these.
struct Escape {
    char written;
    char meant;
};
constexpr Escape escapes[] = {{'0', '\0'}, {'1', '\001'}, {'t', '\t'}, {'r', '\r'}, {'n', '\n'}};

std::string unescape(std::string_view field)
{
    std::string text;
    text.reserve(field.size());
    for (size_t at = 0; at < field.size(); ++at) {
        if (field[at] != '\001' || at + 1 == field.size()) {
            text.push_back(field[at]);
            continue;
        }
        const char next = field[++at];
        const auto* found = std::find_if(std::begin(escapes), std::end(escapes), [&](Escape e) { return e.written == next; });
        text.push_back(found == std::end(escapes) ? next : found->meant);
    }
    return text;
}

std::string escape(std::string_view text)
{
    std::string field;
    for (const char c : text) {
        const auto* found = std::find_if(std::begin(escapes), std::end(escapes), [&](Escape e) { return e.meant == c; });
        if (found == std::end(escapes))
            field.push_back(c);
        else
            append_to(field, '\001', found->written);
    }
    return field;
}

Result<Mechanism> parse_mechanism(std::string_view fields)
{
    const std::string_view name = take_field(fields);
    if (!is_mechanism_name(name))
        return broken("a mechanism without a proper name");
    uint8_t traits = 0;
    while (!fields.empty()) {
        const std::string_view word = take_field(fields);
        const auto* found =
            std::find_if(std::begin(trait_names), std::end(trait_names), [&](const TraitName& row) { return row.word == word; });
        if (found != std::end(trait_names))
            traits = static_cast<uint8_t>(traits | found->trait);
    }
    return Mechanism(ascii::upper(name), traits);
}

// The words and name=value pairs behind the id of OK and FAIL.
void take_parameters(std::string_view fields, AuthReply& into)
{
    while (!fields.empty()) {
        const std::string_view field = take_field(fields);
        const size_t equals = field.find('=');
        const std::string_view name = field.substr(0, equals);
        const std::string_view value = equals == std::string_view::npos ? std::string_view() : field.substr(equals + 1);
        if (name == "user")
            into.user = unescape(value);
        else if (name == "reason")
            into.reason = unescape(value);
        else if (name == "temp" || (name == "code" && value == "temp_fail"))
            into.temporary = true;
    }
}

// The name goes into log lines, headers, envelopes and keys of tables.
bool is_usable_user(std::string_view user)
{
    return !user.empty() && user.size() <= longest_name && std::none_of(user.begin(), user.end(), ascii::is_control);
}

} // namespace

bool is_mechanism_name(std::string_view text)
{
    return !text.empty() && text.size() <= longest_mechanism
           && std::all_of(text.begin(), text.end(), [](char c) { return ascii::is_alnum(c) || c == '-' || c == '_'; });
}

bool is_base64(std::string_view text)
{
    if (text.size() % 4 != 0)
        return false;
    size_t padding = 0;
    while (padding < 2 && text.ends_with('=')) {
        text.remove_suffix(1);
        ++padding;
    }
    return std::all_of(text.begin(), text.end(), [](char c) { return ascii::is_alnum(c) || c == '+' || c == '/'; });
}

Result<bool> Handshake::line(std::string_view line)
{
    const std::string_view command = take_field(line);
    if (command == "VERSION") {
        const auto version = parse_number(take_field(line));
        if (version != major_version)
            return broken("another version of the protocol");
        got_version_ = true;
        return false;
    }
    if (!got_version_)
        return broken("no greeting of Dovecot's auth client protocol");
    if (command == "DONE")
        return true;
    if (command != "MECH")
        return false; // SPID, CUID, COOKIE: for those who talk to Dovecot's other sockets
    auto mechanism = parse_mechanism(line);
    if (!mechanism)
        return std::move(mechanism.error());
    if (mechanisms.size() == most_mechanisms)
        return broken("too many mechanisms");
    mechanisms.push_back(std::move(*mechanism));
    return false;
}

Result<std::optional<AuthReply>> parse_reply(std::string_view line)
{
    using Kind = AuthReply::Kind;
    const std::string_view command = take_field(line);
    const bool challenge = command == "CONT";
    if (!challenge && command != "OK" && command != "FAIL")
        return std::optional<AuthReply>();
    const auto id = parse_number(take_field(line));
    if (!id)
        return broken("a reply without the number of its request");
    std::optional<AuthReply> reply;
    reply.emplace(challenge ? Kind::Continue : command == "OK" ? Kind::Accepted : Kind::Refused, *id);
    if (challenge) {
        reply->challenge = take_field(line);
        if (!is_base64(reply->challenge))
            return broken("a challenge that is not base64");
        return reply;
    }
    take_parameters(line, *reply);
    if (reply->kind == Kind::Accepted && !is_usable_user(reply->user))
        return broken("a login without a proper user name");
    return reply;
}

// ---- for the service

std::string hello_line(long process_id)
{
    return cat("VERSION\t1\t2\nCPID\t", process_id, '\n');
}

// The response comes last: it is the only field that may be long.
Secret auth_line(uint32_t id, const AuthRequest& request)
{
    std::string line = cat("AUTH\t", id, '\t', request.mechanism, "\tservice=", escape(request.service), "\tnologin");
    if (!request.local_address.empty())
        append_to(line, "\tlip=", request.local_address);
    if (!request.remote_address.empty())
        append_to(line, "\trip=", request.remote_address);
    if (request.local_port != 0)
        append_to(line, "\tlport=", request.local_port);
    if (request.remote_port != 0)
        append_to(line, "\trport=", request.remote_port);
    if (request.secured)
        line += "\tsecured";
    if (!request.certificate_user.empty())
        append_to(line, "\tvalid-client-cert\tcert_username=", escape(request.certificate_user));
    if (request.initial) {
        line.reserve(line.size() + request.initial->reveal().size() + 8); // no copy is left behind
        append_to(line, "\tresp=", request.initial->reveal());
    }
    line += '\n';
    Secret secret(line);
    wipe(line);
    return secret;
}

Secret continue_line(uint32_t id, const Secret& response)
{
    std::string line = cat("CONT\t", id, '\t');
    line.reserve(line.size() + response.reveal().size() + 1);
    append_to(line, response.reveal(), '\n');
    Secret secret(line);
    wipe(line);
    return secret;
}

std::string cancel_line(uint32_t id)
{
    return cat("CANCEL\t", id, '\n');
}

} // namespace posthouse::sasl
