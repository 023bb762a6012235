// The commands that need no more than a few lines: RSET, NOOP, QUIT, VRFY, HELP, and what is not there.
#include "lib/base/cat.h"
#include "lib/mail/address.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

namespace posthouse::smtpd {

Session::Answer Session::cmd_rset(const smtp::CommandLine& line)
{
    if (!line.argument().empty())
        co_return smtp::Reply(501, "5.5.4", "Syntax: RSET");
    reset_mail();
    co_return smtp::Reply(250, "2.0.0", "Ok");
}

Session::Answer Session::cmd_noop(const smtp::CommandLine&)
{
    co_return smtp::Reply(250, "2.0.0", "Ok");
}

Session::Answer Session::cmd_quit(const smtp::CommandLine&)
{
    co_return smtp::Reply(221, "2.0.0", "Bye");
}

// The same answer for every address: who is there is said at RCPT, where guessing is slowed down.
Session::Answer Session::cmd_vrfy(const smtp::CommandLine& line)
{
    if (server_.settings.disable_vrfy)
        co_return smtp::Reply(502, "5.5.1", "VRFY command is disabled");
    if (line.argument().empty())
        co_return smtp::Reply(501, "5.5.4", "Syntax: VRFY address");
    const auto path = mail::parse_path(line.argument());
    if (!path || path->address.is_null())
        co_return smtp::Reply(501, "5.1.3", "Bad recipient address syntax");
    auto refusal = check_characters(path->address.to_text(), path->rest == "SMTPUTF8");
    if (refusal)
        co_return std::move(*refusal);
    co_return smtp::Reply(252, "2.0.0", path->address.to_text());
}

Session::Answer Session::cmd_help(const smtp::CommandLine&)
{
    std::string names = "Commands:";
    for (const Command& command : commands)
        if (command.handle != &Session::cmd_unknown && command.handle != &Session::cmd_later)
            append_to(names, ' ', command.name);
    co_return smtp::Reply(214, "2.0.0", names);
}

// ETRN while this server does not offer it.
Session::Answer Session::cmd_later(const smtp::CommandLine&)
{
    co_return smtp::Reply(502, "5.5.1", "Error: command not implemented");
}

Session::Answer Session::cmd_unknown(const smtp::CommandLine& line)
{
    auto refused = co_await milters_unknown(line.line);
    if (refused)
        co_return std::move(*refused);
    co_return smtp::Reply(502, "5.5.2", "Error: command not recognized");
}

} // namespace posthouse::smtpd
