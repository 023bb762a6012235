// A failure as log, qmgr and bounce need it, see trouble.h: from a reply, or from a connection that broke.
#include "smtp/trouble.h"

#include "lib/base/cat.h"

namespace posthouse::smtp_client {

Trouble Trouble::from_reply(const smtp::Reply& reply, std::string_view host, std::string_view host_with_address,
                            std::string_view in_reply_to)
{
    const std::string said = reply.to_text();
    const bool permanent = reply.permanent();
    Trouble trouble(permanent, reply.dsn, cat("host ", host_with_address, " said: ", said, " (in reply to ", in_reply_to, ')'));
    // A success where none was possible is no status for a failure.
    if (trouble.dsn.empty() || trouble.dsn.front() != (permanent ? '5' : '4'))
        trouble.dsn = permanent ? "5.0.0" : "4.0.0";
    trouble.remote_mta = cat("dns; ", host);
    trouble.diagnostic = cat("smtp; ", said);
    return trouble;
}

Trouble Trouble::from_stream(const Error& error, std::string_view host_with_address, std::string_view doing)
{
    switch (error.kind()) {
    case ErrorKind::TimedOut:
        return Trouble(false, "4.4.2", cat("conversation with ", host_with_address, " timed out while ", doing));
    case ErrorKind::Disconnected:
        return Trouble(false, "4.4.2", cat("lost connection with ", host_with_address, " while ", doing));
    default:
        return Trouble(false, "4.4.2",
                       cat("conversation with ", host_with_address, " failed while ", doing, ": ", error.full_text()));
    }
}

} // namespace posthouse::smtp_client
