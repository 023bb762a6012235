// DATA (RFC 5321 section 4.1.1.4).
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

namespace posthouse::smtpd {

Session::Answer Session::cmd_data(const smtp::CommandLine& line)
{
    if (mail_ && mail_->chunking)
        co_return smtp::Reply(503, "5.5.1", "Error: DATA after BDAT");
    auto refusal = check_data_order();
    if (refusal)
        co_return std::move(*refusal);
    if (!line.argument().empty())
        co_return smtp::Reply(501, "5.5.4", "Syntax: DATA");
    refusal = co_await start_message();
    if (refusal)
        co_return std::move(*refusal);

    CO_CHECK(co_await send(smtp::Reply(354, "", "End data with <CR><LF>.<CR><LF>")));
    const Deadline soon = Deadline::after(server_.settings.timeout);
    CO_CHECK(co_await chat_.flush(soon));
    const Instant started = Instant::now();
    for (bool finished = false; !finished;) {
        const Deadline deadline = data_deadline(started);
        auto chunk = co_await chat_.read_data(mail_->reader, deadline);
        if (!chunk)
            co_return std::move(chunk.error());
        finished = chunk->finished;
        content_bytes_ += chunk->content.size();
        co_await take_content(chunk->content);
        if (refuse_bare_newline())
            co_return bare_newline_reply();
    }
    where_ = "END-OF-MESSAGE";
    co_return co_await end_message();
}

// smtpd_forbid_bare_newline = reject: seen in the content, it ends the session at once. What comes after
// it on the wire may be meant as commands, and is never looked at.
bool Session::refuse_bare_newline()
{
    if (!mail_->reader.bare_lf() || legacy_line_ends_.value_or(false))
        return false;
    switch (server_.settings.forbid_bare_newline) {
    case BareNewline::Reject:
        log::info(mail_->queue_id, ": reject: bare <LF> received after ", where_, " from ", client_.label());
        closing_ = true;
        reset_mail();
        return true;
    case BareNewline::Note:
        if (!mail_->bare_newline_noted)
            log::info(mail_->queue_id, ": bare <LF> received after ", where_, " from ", client_.label());
        mail_->bare_newline_noted = true;
        return false;
    default:
        return false;
    }
}

smtp::Reply Session::bare_newline_reply() const
{
    return smtp::Reply(server_.settings.bare_newline_reject_code, "5.5.2",
                       cat(server_.settings.hostname, " Error: bare <LF> received"));
}

} // namespace posthouse::smtpd
