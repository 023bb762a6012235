// XCLIENT and XFORWARD, Postfix's extensions for a front end that hands sessions on. Both only for listed
// hosts: XCLIENT puts another client in this one's place and starts the session again, XFORWARD is for
// log and envelope alone.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/smtp/command.h"
#include "smtpd/hostname.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

#include <vector>

namespace posthouse::smtpd {

namespace {

std::string_view without_ipv6_prefix(std::string_view text)
{
    return ascii::starts_with(text, "IPV6:") ? text.substr(5) : text;
}

bool is_port(std::string_view text)
{
    const auto number = ascii::parse_unsigned(text);
    return number && *number <= 65535;
}

// Values get into log lines and headers.
bool has_control(std::string_view text)
{
    for (const char c : text)
        if (ascii::is_control(c))
            return true;
    return false;
}

smtp::Reply bad_value(const smtp::Attribute& attribute)
{
    return smtp::Reply(501, "5.5.4", cat("Bad ", attribute.name, " attribute value: ", attribute.value));
}

} // namespace

Task<bool> Session::listed(table::MatchList& hosts)
{
    if (hosts.empty())
        co_return false;
    Result<bool> found = co_await hosts.matches_client(real_client_.name, real_client_.ip);
    co_return found && *found;
}

Session::Answer Session::cmd_xclient(const smtp::CommandLine& line)
{
    if (mail_)
        co_return smtp::Reply(503, "5.5.1", "Error: MAIL transaction in progress");
    const bool allowed = co_await listed(*server_.xclient_hosts);
    if (!allowed)
        co_return smtp::Reply(550, "5.7.0", "Error: insufficient authorization");
    std::vector<smtp::Attribute> attributes;
    auto refusal = smtp::parse_attributes(line.argument(), smtp::xclient_names, attributes);
    if (refusal)
        co_return std::move(*refusal);

    // Taken as a whole or not at all.
    Identity wanted(*this);
    for (const smtp::Attribute& attribute : attributes)
        if (has_control(attribute.value) || !wanted.take(attribute))
            co_return bad_value(attribute);
    wanted.forget_old_name();

    reset_mail();
    for_another_ = true;
    client_ = wanted.client;
    helo_ = wanted.helo;
    protocol_ = wanted.protocol;
    login_ = wanted.login;
    standing_actions_.reset();
    in_mynetworks_.reset();
    legacy_line_ends_.reset();
    limits_apply_.reset();
    discarded_.reset();
    pipelined_ = false;
    access_denied_ = false;
    auto greeting = co_await welcome();
    co_return std::move(*greeting);
}

// A name belongs to its address: another address without a name has none.
void Session::Identity::forget_old_name()
{
    if (!got_address || got_name)
        return;
    client.name = client.reverse_name = "unknown";
    client.state = client.reverse_state = NameState::Unknown;
}

bool Session::Identity::take(const smtp::Attribute& attribute)
{
    const std::string& name = attribute.name;
    const bool absent = attribute.unavailable();
    const std::string& value = attribute.value;
    if (name == "NAME" || name == "REVERSE_NAME") {
        if (!absent && !is_hostname(value))
            return false;
        const NameState state = !absent ? NameState::Found
                                        : value == "[TEMPUNAVAIL]" ? NameState::Temporary : NameState::Unknown;
        const bool reverse = name == "REVERSE_NAME"; // without it, NAME is both
        if (!reverse) {
            client.name = absent ? "unknown" : value;
            client.state = state;
        }
        if (reverse || !got_reverse_name) {
            client.reverse_name = absent ? "unknown" : value;
            client.reverse_state = state;
        }
        got_name |= !reverse;
        got_reverse_name |= reverse;
        return true;
    }
    if (name == "ADDR") {
        const auto address = net::IpAddress::parse(without_ipv6_prefix(absent ? "0.0.0.0" : value));
        if (!address)
            return false;
        client.ip = address->unmapped();
        client.address = absent ? "unknown" : client.ip.to_text();
        got_address = true;
        return true;
    }
    if (name == "PORT") {
        client.port = absent ? "" : value;
        return absent || is_port(value);
    }
    if (name == "PROTO") {
        protocol = ascii::equal(value, "ESMTP") ? "ESMTP" : "SMTP";
        return absent || ascii::equal(value, "ESMTP") || ascii::equal(value, "SMTP");
    }
    if (name == "HELO")
        helo = absent ? std::string() : value;
    else if (name == "LOGIN")
        login = absent || value.empty() ? Login() : Login{value, "XCLIENT"};
    else if (name == "DESTADDR")
        return take_server_address(absent ? "0.0.0.0" : value);
    else if (name == "DESTPORT") {
        client.server_port = static_cast<uint16_t>(ascii::parse_unsigned(value).value_or(0));
        return absent || is_port(value);
    }
    return true;
}

bool Session::Identity::take_server_address(std::string_view value)
{
    const auto address = net::IpAddress::parse(without_ipv6_prefix(value));
    if (address)
        client.server_ip = address->unmapped();
    return address.has_value();
}

Session::Answer Session::cmd_xforward(const smtp::CommandLine& line)
{
    if (mail_)
        co_return smtp::Reply(503, "5.5.1", "Error: MAIL transaction in progress");
    const bool allowed = co_await listed(*server_.xforward_hosts);
    if (!allowed)
        co_return smtp::Reply(550, "5.7.0", "Error: insufficient authorization");
    std::vector<smtp::Attribute> attributes;
    auto refusal = smtp::parse_attributes(line.argument(), smtp::xforward_names, attributes);
    if (refusal)
        co_return std::move(*refusal);
    // A client may send them in several commands.
    Forwarded wanted = forwarded_ ? *forwarded_ : Forwarded();
    for (const smtp::Attribute& attribute : attributes)
        if (has_control(attribute.value) || !wanted.take(attribute))
            co_return bad_value(attribute);
    forwarded_ = std::make_unique<Forwarded>(std::move(wanted));
    co_return smtp::Reply(250, "2.0.0", "Ok");
}

bool Forwarded::take(const smtp::Attribute& attribute)
{
    const std::string value = attribute.unavailable() ? std::string() : attribute.value;
    if (attribute.name == "NAME") {
        name = value;
        return value.empty() || is_hostname(value);
    }
    if (attribute.name == "ADDR") {
        address = without_ipv6_prefix(value);
        return value.empty() || net::IpAddress::parse(address).has_value();
    }
    if (attribute.name == "PORT") {
        port = value;
        return value.empty() || is_port(value);
    }
    if (attribute.name == "PROTO")
        protocol = value.substr(0, 64);
    else if (attribute.name == "HELO")
        helo = value;
    else if (attribute.name == "IDENT")
        ident = value.substr(0, 255);
    else if (attribute.name == "SOURCE")
        return value.empty() || ascii::equal(value, "LOCAL") || ascii::equal(value, "REMOTE");
    return true;
}

} // namespace posthouse::smtpd
