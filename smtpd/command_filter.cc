// smtpd_command_filter: a table that replaces what the client has said, before anything looks at it. What a table gives is
// one command, whatever is in it.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

#include <algorithm>

namespace posthouse::smtpd {

// AUTH is not for tables, which may be asked over the network: there may be a password in it. What follows BDAT is content,
// and must not become commands because a table has failed. The rest of a line that was too long is not known.
Task<std::optional<smtp::Reply>> Session::filter_command(smtp::CommandLine& line)
{
    if (server_.command_filter->empty() || line.too_long || line.has_nul || ascii::equal(line.verb(), "AUTH")
        || ascii::equal(line.verb(), "BDAT"))
        co_return std::nullopt;
    if (auth_was_last_ && find_command(line.verb()).handle == &Session::cmd_unknown)
        co_return std::nullopt; // it may be a password, from a client that does not look at replies
    const std::string given(ascii::trim(line.line));
    auto found = co_await server_.command_filter->lookup(given);
    if (!found) {
        log::warning(client_.label(), ": smtpd_command_filter: ", found.error().full_text());
        co_return smtp::Reply(451, "4.3.0", "Error: temporary lookup failure");
    }
    if (!*found)
        co_return std::nullopt;
    std::string& wanted = **found;
    if (std::any_of(wanted.begin(), wanted.end(), ascii::is_control) || wanted.size() > server_.settings.line_length_limit) {
        log::warning("smtpd_command_filter: not a command for \"", given, "\": \"", wanted, "\"");
        co_return smtp::Reply(451, "4.3.5", "Error: server configuration problem");
    }
    log::info(client_.label(), ": replacing client command \"", given, "\" with \"", wanted, "\"");
    line.line = std::move(wanted);
    co_return std::nullopt;
}

} // namespace posthouse::smtpd
