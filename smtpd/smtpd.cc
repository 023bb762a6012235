/*
NAME
	smtpd - SMTP server

SYNOPSIS
	smtpd [generic daemon options]

DESCRIPTION
	smtpd takes mail in over the network. It speaks ESMTP with any number of clients at a time, checks
	who may send what to whom, and commits each message to the queue before it says that it has been
	accepted. It is started by master(8) from a line of master.cf(5) such as

	    smtp  inet  n  -  y  -  -  smtpd
	    submission  inet  n  -  y  -  -  smtpd -o smtpd_tls_security_level=encrypt
	        -o smtpd_sasl_auth_enable=yes -o smtpd_relay_restrictions=permit_sasl_authenticated,reject

	Relaying is controlled by smtpd_relay_restrictions, everything else by the restriction lists of the
	stages: smtpd_client_restrictions, smtpd_helo_restrictions, smtpd_sender_restrictions,
	smtpd_recipient_restrictions, smtpd_data_restrictions and smtpd_end_of_data_restrictions.

	Sessions begin with TLS (smtpd_tls_wrappermode) or go over to it by STARTTLS, as
	smtpd_tls_security_level says. What a client has sent in the clear after that command is never taken
	for something said within TLS, and nothing that it has said before counts afterwards.

	Users log in with AUTH where smtpd_sasl_auth_enable is set. smtpd passes what they say on to a service
	that speaks Dovecot's auth client protocol (smtpd_sasl_type = dovecot, smtpd_sasl_path), whatever the
	mechanism. permit_sasl_authenticated and the reject_..._sender_login_mismatch restrictions say what a
	login is good for.

	reject_unverified_sender and reject_unverified_recipient ask for an address by a probe, a message without
	content that qmgr(8) has the delivery agents try up to RCPT, and read the answer in address_verify_map.

	The end of a message is CR LF . CR LF and nothing else. The content is cleaned up as cleanup of
	other systems does it, by the same process, while it arrives.

STANDARDS
	RFC 5321 (SMTP), RFC 1870 (SIZE), RFC 2034 and 3463 (enhanced status codes), RFC 2920 (pipelining),
	RFC 3030 (CHUNKING, without BINARYMIME), RFC 3207 (STARTTLS), RFC 8314 (TLS from the first byte),
	RFC 4954 (AUTH), RFC 3461 (DSN), RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8),
	RFC 7504 (521 and 556), and Postfix's XCLIENT and XFORWARD.

SECURITY
	smtpd is the program that strangers talk to. It runs as mail_owner, in a changed root directory when
	master.cf says so, opens no file once it serves, and writes messages through descriptors that the
	queue manager has handed to it. Tables and keys are read before; when one has been replaced, the process
	ends after its sessions and a new one reads it. Where TLS is on, a second process (file-courier) keeps
	the privilege to read the files of certificates and keys, and nothing else: it sends their contents when
	they were replaced, and hears nothing from anybody.

	What clients say in AUTH is passed on and overwritten. It is not logged, at whatever level.

DIAGNOSTICS
	Problems and transactions are logged in Postfix's form, one line an event: connect, disconnect with
	the commands that were given, client=, and NOQUEUE: reject: for what is refused. With
	smtpd_tls_loglevel = 1, a line for each TLS session; a handshake that fails is logged in any case.
	A login that fails is a warning, and so is an authentication service that is not there: AUTH is not
	offered then, and answered 454.

SEE ALSO
	master(8), qmgr(8), postconf(5), access(5), master.cf(5)
*/
#include "lib/event/byte_stream.h"
#include "lib/event/loop.h"
#include "lib/log/log.h"
#include "lib/queue/queue_client.h"
#include "lib/service/service.h"
#include "lib/service/stop_times.h"
#include "lib/table/table.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/tls_service.h"

namespace posthouse::smtpd {

namespace {

constexpr Duration table_check_interval = Duration::seconds(1);

class SmtpdProgram final : public service::Program {
public:
    Result<void> prepare(service::Context& context) override;
    void check(service::Context& context, std::vector<Error>& faults) override;
    Result<void> started(service::Context& context) override;
    Task<void> serve(service::Context& context, UniqueFd connection, net::SocketAddress peer, size_t listener) override;
    void on_drain(service::Context& context) override;
    bool idle() const override { return !queue_ || queue_->unfinished() == 0; }

private:
    static Task<void> watch_tables(service::Context& context, Server& server);
    static Task<void> stop_receiving(service::Context& context, Server& server);

    std::unique_ptr<queue::QueueClient> queue_;
    std::unique_ptr<Server> server_;
    bool stops_ = false;
};

Result<void> SmtpdProgram::prepare(service::Context& context)
{
    const table::Context tables(context.loop, context.pool, context.config);
    auto server = Server::open(context.config, tables);
    if (!server)
        return std::move(server.error());
    server_ = std::move(*server);
    if (TlsService::wanted(context.config)) {
        auto tls = TlsService::open(context.config, context.service_name, tables);
        if (!tls)
            return std::move(tls.error());
        (*tls)->start_courier();
        server_->tls = std::move(*tls);
    }
    for (const Error& fault : server_->restrictions->faults())
        log::error(fault.full_text(), ": clients are put off with 451 4.3.5");
    server_->ask_resolver = [&context]() -> net::Resolver& { return context.resolver(); };
    return Result<void>();
}

void SmtpdProgram::check(service::Context& context, std::vector<Error>& faults)
{
    faults = Server::faults(context.config, table::Context(context.loop, context.pool, context.config));
}

Result<void> SmtpdProgram::started(service::Context& context)
{
    queue_ = std::make_unique<queue::QueueClient>(context.loop, context.pool, "private/qmgr", "smtpd",
                                                   queue::QueueClientLimits(context.config));
    queue_->prefetch();
    server_->source = queue_.get();
    server_->free_bytes = [this] { return queue_->free_bytes(); };
    context.background.spawn(watch_tables(context, *server_));
    if (server_->tls)
        context.background.spawn(server_->tls->follow_files(context.loop));
    return Result<void>();
}

Task<void> SmtpdProgram::watch_tables(service::Context& context, Server& server)
{
    while (!context.draining()) {
        co_await sleep_for(context.loop, table_check_interval);
        if (server.stale())
            context.retire();
    }
}

// A reload lets sessions go on with the old configuration; a stop does not wait for their clients.
void SmtpdProgram::on_drain(service::Context& context)
{
    if (!context.stopping() || std::exchange(stops_, true))
        return;
    server_->stop_sessions();
    context.background.spawn(stop_receiving(context, *server_));
}

// A message that comes in may come to its end, as far as there is time to say 421 then.
Task<void> SmtpdProgram::stop_receiving(service::Context& context, Server& server)
{
    const Duration stop_deadline = context.config.duration("stop_deadline");
    co_await sleep_for(context.loop, service::message_stop_time(stop_deadline));
    server.stop_receiving();
}

Task<void> SmtpdProgram::serve(service::Context& context, UniqueFd connection, net::SocketAddress peer, size_t)
{
    Socket stream(context.loop, std::move(connection));
    Client client(peer);
    Session session(*server_, stream, std::move(client));
    co_await session.serve();
}

std::unique_ptr<service::Program> make_program()
{
    return std::make_unique<SmtpdProgram>();
}

// All that it may do once it serves: its sockets, DNS, and the queue manager's socket by name.
constexpr service::Spec spec = {
    .program = "smtpd",
    .resolver = true,
    .sandbox = {.dns = true},
};

} // namespace

} // namespace posthouse::smtpd

int main(int argc, char** argv)
{
    return posthouse::service::run(argc, argv, posthouse::smtpd::spec, posthouse::smtpd::make_program);
}
