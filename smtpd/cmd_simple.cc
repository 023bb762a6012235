// The commands that need no more than a few lines: RSET, NOOP, QUIT, VRFY, HELP, and what is not there.
#include "lib/base/cat.h"
#include "lib/mail/address.h"
#include "lib/queue/rewrite.h"
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

// The answer that RCPT would give, by the same restrictions and counted in the same rate: who may not ask there, or asks
// too often, learns nothing here either. 252, not 250: nothing has been tried.
Session::Answer Session::cmd_vrfy(const smtp::CommandLine& line)
{
    if (server_.settings.helo_required && helo_.empty())
        co_return smtp::Reply(503, "5.5.1", "Error: send HELO/EHLO first");
    if (server_.settings.disable_vrfy)
        co_return smtp::Reply(502, "5.5.1", "VRFY command is disabled");
    if (line.argument().empty())
        co_return smtp::Reply(501, "5.5.4", "Syntax: VRFY address");
    const auto path = mail::parse_path(line.argument());
    if (!path || path->address.is_null())
        co_return smtp::Reply(501, "5.1.3", "Bad recipient address syntax");
    Mailbox recipient;
    recipient.given = path->address.to_text();
    auto refusal = check_characters(recipient.given, path->rest == "SMTPUTF8");
    if (!refusal)
        refusal = co_await count_recipient();
    if (refusal)
        co_return std::move(*refusal);
    recipient.completed = server_.intake_tables->rewriter().complete(recipient.given);
    auto denied = co_await check_recipient(recipient, CheckFor::Vrfy);
    if (denied)
        co_return std::move(*denied);
    co_return smtp::Reply(252, "2.0.0", recipient.given);
}

Session::Answer Session::cmd_help(const smtp::CommandLine&)
{
    std::string names = "Commands:";
    for (const Command& command : commands)
        if (command.handle != &Session::cmd_unknown && knows(command))
            append_to(names, ' ', command.name);
    co_return smtp::Reply(214, "2.0.0", names);
}

Session::Answer Session::cmd_unknown(const smtp::CommandLine& line)
{
    if (!auth_was_last_) { // else it may be a password
        auto refused = co_await milters_unknown(line.line);
        if (refused)
            co_return std::move(*refused);
    }
    co_return smtp::Reply(502, "5.5.2", "Error: command not recognized");
}

} // namespace posthouse::smtpd
