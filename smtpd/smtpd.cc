/*
NAME
	smtpd - SMTP and LMTP server

SYNOPSIS
	smtpd [generic daemon options]
	lmtpd [generic daemon options]

DESCRIPTION
	smtpd takes mail in over the network. It speaks ESMTP with any number of clients at a time, checks
	who may send what to whom, and commits each message to the queue before it says that it has been
	accepted. It is started by master(8) from a line of master.cf(5) such as

	    smtp  inet  n  -  y  -  -  smtpd
	    submission  inet  n  -  y  -  -  smtpd -o smtpd_tls_security_level=encrypt
	        -o smtpd_sasl_auth_enable=yes -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
	    lmtpd  unix  n  -  y  -  -  lmtpd

	smtpd_relay_restrictions decide on relaying, the lists of the stages from smtpd_client_restrictions to
	smtpd_end_of_data_restrictions on everything else. Rules look at tables, at DNS and DNS lists, ask a policy
	server (check_policy_service), or another host by a probe (reject_unverified_recipient). Whom a session waits
	for, it waits for alone.

	New clients can be screened before they are greeted (postscreen as the program in master.cf(5), postscreen_
	parameters), strangers made to come twice (smtpd_greylist_enable), and what a client, a user or a sender
	domain does in a time limited. A proxy in front names its clients with the PROXY protocol
	(smtpd_upstream_proxy_protocol).

	Sessions begin with TLS (smtpd_tls_wrappermode) or go over to it by STARTTLS, as smtpd_tls_security_level
	says. Nothing that a client has sent in the clear counts afterwards. Users log in with AUTH where
	smtpd_sasl_auth_enable is set: the service at smtpd_sasl_path, which speaks Dovecot's auth client protocol,
	says who they are.

	The end of a message is CR LF . CR LF and nothing else. The content is cleaned up and looked into
	(header_checks(5)) while it arrives. Mail filters that speak Sendmail's milter protocol may refuse, change, hold
	or discard it (smtpd_milters); or a filter that speaks SMTP gets it first (smtpd_proxy_filter).

	Under the name lmtpd it speaks LMTP: LHLO takes the place of EHLO, and after a message each recipient that
	was taken has a reply of its own. A client on a UNIX socket is this host, localhost[127.0.0.1].

STANDARDS
	RFC 5321 (SMTP), 1870 (SIZE), 2034 and 3463 (enhanced status codes), 2920 (pipelining), 3030 (CHUNKING, without
	BINARYMIME), 3207 (STARTTLS), 8314 (TLS from the first byte), 4954 (AUTH), 3461 (DSN), 6152 (8BITMIME),
	6531 (SMTPUTF8), 7504 (521 and 556), 8689 (REQUIRETLS), 9422 (LIMITS), 1985 (ETRN), 2033 (LMTP), and Postfix's
	XCLIENT and XFORWARD.

SECURITY
	smtpd is the program that strangers talk to. It runs as mail_owner, in a changed root directory when
	master.cf says so, opens no file once it serves, and writes messages through descriptors that the
	queue manager has handed to it. When a table or key has been replaced, the process ends after its sessions and
	a new one reads it; for certificates a second process (file-courier) keeps the privilege to read their
	files, and hears nothing from anybody. What clients say in AUTH is passed on, overwritten, and never logged.

DIAGNOSTICS
	Problems and transactions are logged in Postfix's form, one line an event: connect, disconnect with
	the commands that were given, client=, and NOQUEUE: reject: for what is refused. With
	smtpd_tls_loglevel = 1, a line for each TLS session. What screening sees of a client is in the words of
	postscreen: CONNECT, PASS NEW, PREGREET, DNSBL rank.

SEE ALSO
	master(8), qmgr(8), postconf(5), access(5), header_checks(5), master.cf(5)
*/
#include "lib/event/byte_stream.h"
#include "lib/event/loop.h"
#include "lib/log/log.h"
#include "lib/queue/queue_client.h"
#include "lib/service/service.h"
#include "lib/service/stop_times.h"
#include "lib/table/table.h"
#include "smtpd/screening.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/tls_service.h"
#include "smtpd/upstream_proxy.h"

namespace posthouse::smtpd {

namespace {

constexpr Duration table_check_interval = Duration::seconds(1);

class SmtpdProgram final : public service::Program {
public:
    explicit SmtpdProgram(bool lmtp) : lmtp_(lmtp) {}
    Result<void> prepare(service::Context& context) override;
    void check(service::Context& context, std::vector<Error>& faults) override;
    Result<void> started(service::Context& context) override;
    Task<void> serve(service::Context& context, UniqueFd connection, net::SocketAddress peer, size_t listener) override;
    void on_drain(service::Context& context) override;
    bool idle() const override { return !queue_ || queue_->unfinished() == 0; }

private:
    static Task<void> watch_tables(service::Context& context, Server& server);
    static Task<void> converse(Server& server, ByteStream& stream, const Ends& ends,
                               std::unique_ptr<ScreenedClient> screened);
    static Task<void> stop_receiving(service::Context& context, Server& server);

    const bool lmtp_;
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
    server_->lmtp = lmtp_;
    server_->counters.share(context.shared_memory());
    if (TlsService::wanted(context.config)) {
        auto tls = TlsService::open(context.config, context.service_name, tables);
        if (!tls)
            return std::move(tls.error());
        (*tls)->start_courier();
        server_->tls = std::move(*tls);
    }
    if (server_->screening) {
        if (auto opened = server_->screening->open_cache(context.config); !opened)
            log::warning("postscreen_cache_map: ", opened.error().full_text(), ": every client is new each time");
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
    queue_ = std::make_unique<queue::QueueClient>(context.loop, context.pool, "private/qmgr", lmtp_ ? "lmtpd" : "smtpd",
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
    Ends ends(std::move(peer), net::SocketAddress::local_of(stream.fd()));
    if (server_->upstream_proxy) {
        auto told = co_await server_->upstream_proxy->ask(stream, ends);
        if (!told)
            co_return;
        ends = std::move(*told);
    }
    std::unique_ptr<ScreenedClient> screened;
    if (server_->screening && !ends.client.is_unix()) {
        auto admission = co_await server_->screening->admit(stream, ends);
        if (!admission.admitted)
            co_return;
        screened = std::move(admission.client);
    }
    co_await converse(*server_, stream, ends, std::move(screened));
}

// A coroutine of its own: a client that waits to be admitted needs no session.
Task<void> SmtpdProgram::converse(Server& server, ByteStream& stream, const Ends& ends,
                                  std::unique_ptr<ScreenedClient> screened)
{
    Session session(server, stream, Client(ends));
    session.watch_client(std::move(screened));
    co_await session.serve();
}

std::unique_ptr<service::Program> make_smtpd()
{
    return std::make_unique<SmtpdProgram>(false);
}

std::unique_ptr<service::Program> make_lmtpd()
{
    return std::make_unique<SmtpdProgram>(true);
}

// All that it may do once it serves: its sockets, DNS, and the queue manager's socket by name.
constexpr service::Sandbox sandbox = {.dns = true};
constexpr service::Spec smtpd_spec = {.program = "smtpd", .resolver = true, .shared_memory = true, .sandbox = sandbox};
constexpr service::Spec lmtpd_spec = {.program = "lmtpd", .resolver = true, .shared_memory = true, .sandbox = sandbox};

} // namespace

} // namespace posthouse::smtpd

int main(int argc, char** argv)
{
    using namespace posthouse;
    const std::string_view path = argc > 0 ? argv[0] : "smtpd";
    if (path.substr(path.rfind('/') + 1) == "lmtpd")
        return service::run(argc, argv, smtpd::lmtpd_spec, smtpd::make_lmtpd);
    return service::run(argc, argv, smtpd::smtpd_spec, smtpd::make_smtpd);
}
