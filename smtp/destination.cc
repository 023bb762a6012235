// A next hop taken apart: see destination.h. Called by delivery.cc; settings.cc reads its port numbers with it.
#include "smtp/destination.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

namespace posthouse::smtp_client {

namespace {

struct PortName {
    std::string_view name;
    uint16_t port;
};
constexpr PortName port_names[] = {
    {"smtp", 25}, {"mail", 25}, {"lmtp", 24}, {"submission", 587}, {"submissions", 465}, {"smtps", 465},
};

Error bad_destination(std::string_view text)
{
    return Error(ErrorKind::Temporary, "4.3.5", cat("server configuration error: bad next hop: ", text));
}

} // namespace

std::optional<uint16_t> port_number(std::string_view text)
{
    for (const PortName& known : port_names)
        if (ascii::equal(known.name, text))
            return known.port;
    const auto number = ascii::parse_unsigned(text);
    if (!number || *number == 0 || *number > 65535)
        return std::nullopt;
    return static_cast<uint16_t>(*number);
}

Result<Destination> parse_destination(std::string_view text, bool lmtp, uint16_t port)
{
    Destination destination;
    destination.port = port;
    destination.kind = lmtp ? Destination::Kind::Host : Destination::Kind::Domain;
    std::string_view rest = text;
    if (lmtp && rest.starts_with("unix:")) {
        destination.kind = Destination::Kind::UnixSocket;
        destination.name = rest.substr(5);
        if (destination.name.empty())
            return bad_destination(text);
        return destination;
    }
    if (rest.starts_with("inet:"))
        rest.remove_prefix(5);
    size_t end;
    if (rest.starts_with('[')) {
        end = rest.find(']');
        if (end == std::string_view::npos)
            return bad_destination(text);
        destination.kind = Destination::Kind::Host;
        std::string_view name = rest.substr(1, end - 1);
        if (ascii::starts_with(name, "ipv6:"))
            name.remove_prefix(5);
        destination.name = name;
        rest.remove_prefix(end + 1);
    } else {
        end = std::min(rest.find(':'), rest.size());
        destination.name = rest.substr(0, end);
        rest.remove_prefix(end);
    }
    if (rest.starts_with(':')) {
        const auto given = port_number(rest.substr(1));
        if (!given)
            return bad_destination(text);
        destination.port = *given;
        destination.default_port = false;
    } else if (!rest.empty()) {
        return bad_destination(text);
    }
    if (destination.name.empty())
        return bad_destination(text);
    return destination;
}

Result<std::vector<Destination>> parse_destinations(std::string_view text, bool lmtp, uint16_t port)
{
    std::vector<Destination> destinations;
    for (std::string_view part : ascii::split(text, ", \t")) {
        auto destination = parse_destination(part, lmtp, port);
        if (!destination)
            return std::move(destination.error());
        destinations.push_back(std::move(*destination));
    }
    if (destinations.empty())
        return bad_destination(text);
    return destinations;
}

} // namespace posthouse::smtp_client
