/*
NAME
	smtp - SMTP and LMTP client

SYNOPSIS
	smtp [generic daemon options]
	lmtp [generic daemon options]

DESCRIPTION
	smtp delivers mail to other hosts, by SMTP or, under the name lmtp, by LMTP. It is started by
	master(8) from a line of master.cf(5) and gets its work from qmgr(8): for each delivery the envelope,
	the recipients and an open descriptor of the queue file. One process does many deliveries at a time.

	A next hop is a domain, whose MX hosts are tried in the order of their preference, equal ones at
	random; or a host in brackets, [host] or [host]:port; for lmtp unix:path or inet:host:port. A host
	that is this one ends the list (RFC 5321 section 5.1), and a null MX (RFC 7505) refuses the mail at
	once. A host that cannot be reached, or does not want to talk, makes way for the next one.

	Commands are pipelined where the host offers it. A connection that has done its work is kept for
	smtp_connection_cache_time_limit, and the next message for the same next hop goes over it.

	For a host without 8BITMIME, parts of a message that say 8bit become quoted-printable
	(disable_mime_output_conversion); what is signed (multipart/signed) goes as it is. A message that needs
	SMTPUTF8 goes only to a host that offers it. Content that does not agree with the checksum that was
	taken when it came in is not sent: it stays in the queue, and the log says so.

	What a host says to a recipient decides: 5xx returns the mail, 4xx is tried with another host or
	later, 421 ends the session. When the answer to the end of the content is lost, the mail is tried
	again later and may arrive twice: it is never lost.

STANDARDS
	RFC 5321 (SMTP), RFC 2033 (LMTP), RFC 1870 (SIZE), RFC 2034 (enhanced status codes), RFC 2920
	(pipelining), RFC 3461 (DSN), RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8), RFC 7505 (null MX), RFC 2045
	(quoted-printable), and Postfix's XFORWARD.

SECURITY
	smtp talks to strangers. It runs as mail_owner, in a changed root directory when master.cf says so,
	opens no file, and can read no other message than those that the queue manager has handed to it.

DIAGNOSTICS
	One line for each recipient: to=, relay=, delay=, delays=, dsn=, status=. A host that cannot be
	connected to is logged apart.

BUGS
	There is no TLS yet.

SEE ALSO
	qmgr(8), smtpd(8), master(8), transport(5), postconf(5)
*/
#include "lib/log/log.h"
#include "lib/service/service.h"
#include "smtp/agent.h"
#include "smtp/host_search.h"
#include "smtp/session_cache.h"
#include "smtp/settings.h"

#include <string_view>

namespace posthouse::smtp_client {

namespace {

class ClientProgram final : public service::Program {
public:
    explicit ClientProgram(bool lmtp) : lmtp_(lmtp) {}
    Result<void> prepare(service::Context& context) override;
    Task<void> serve(service::Context& context, UniqueFd connection, net::SocketAddress peer, size_t listener) override;
    void on_drain(service::Context& context) override;

private:
    const bool lmtp_;
    Settings settings_;
    std::unique_ptr<ResolverNames> names_;
    std::unique_ptr<SessionCache> cache_;
    Agent* agent_ = nullptr; // lives in serve()
};

Result<void> ClientProgram::prepare(service::Context& context)
{
    settings_ = Settings::from_config(context.config, lmtp_);
    names_ = std::make_unique<ResolverNames>(context.resolver(), settings_);
    cache_ = std::make_unique<SessionCache>(context.loop, settings_);
    return Result<void>();
}

Task<void> ClientProgram::serve(service::Context& context, UniqueFd connection, net::SocketAddress, size_t)
{
    Agent agent(context.loop, context.pool, settings_, *names_, *cache_, std::move(connection));
    agent_ = &agent;
    co_await agent.serve();
    agent_ = nullptr;
    if (context.draining())
        cache_->close();
}

// Deliveries that have begun come to their end, at a stop only those that send a message just now; qmgr gives
// the rest to others.
void ClientProgram::on_drain(service::Context& context)
{
    if (agent_)
        agent_->stop(context.stopping() ? Agent::Stop::Soon : Agent::Stop::WhenDone);
    else
        cache_->close();
}

std::unique_ptr<service::Program> make_smtp()
{
    return std::make_unique<ClientProgram>(false);
}

std::unique_ptr<service::Program> make_lmtp()
{
    return std::make_unique<ClientProgram>(true);
}

// All that it may do once it serves: connect to other hosts, and ask DNS.
constexpr service::Sandbox sandbox = {.tcp_connect = true, .dns = true};
constexpr service::Spec smtp_spec = {.program = "smtp", .single_connection = true, .delivers = true, .resolver = true, .host_lookup = "smtp_host_lookup", .sandbox = sandbox};
constexpr service::Spec lmtp_spec = {.program = "lmtp", .single_connection = true, .delivers = true, .resolver = true, .host_lookup = "lmtp_host_lookup", .sandbox = sandbox};

} // namespace

} // namespace posthouse::smtp_client

int main(int argc, char** argv)
{
    using namespace posthouse;
    const std::string_view path = argc > 0 ? argv[0] : "smtp";
    const std::string_view name = path.substr(path.rfind('/') + 1);
    if (name == "lmtp")
        return service::run(argc, argv, smtp_client::lmtp_spec, smtp_client::make_lmtp);
    return service::run(argc, argv, smtp_client::smtp_spec, smtp_client::make_smtp);
}
