// STARTTLS (RFC 3207), and TLS from the first byte (RFC 8314 section 3.3).
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/tls/server_context.h"
#include "lib/tls/stream.h"
#include "smtpd/server.h"
#include "smtpd/session.h"
#include "smtpd/tls_service.h"

namespace posthouse::smtpd {

namespace {

constexpr Duration goodbye_time = Duration::seconds(5);

// One line each, as the library has them.
void log_library_lines(std::string_view lines)
{
    while (!lines.empty()) {
        const size_t end = std::min(lines.find('\n'), lines.size());
        log::warning("TLS library problem: ", lines.substr(0, end));
        lines.remove_prefix(std::min(end + 1, lines.size()));
    }
}

void log_certificate(const std::string& client, const tls::SessionInfo& info)
{
    if (info.trust == tls::PeerTrust::Untrusted)
        log::info("certificate verification failed for ", client, ": ", info.trust_fault);
    log::info(client, ": subject_CN=", info.subject_name, ", issuer_CN=", info.issuer_name,
              ", fingerprint=", info.certificate_fingerprint, ", pkey_fingerprint=", info.key_fingerprint);
}

} // namespace

bool Session::offers_tls() const
{
    const TlsService* service = server_.tls.get();
    return service && !tls_ && service->settings().level != TlsLevel::None && service->context();
}

bool Session::must_start_tls() const
{
    return server_.tls && !tls_ && server_.tls->settings().level == TlsLevel::Encrypt;
}

const tls::SessionInfo* Session::tls_info() const { return tls_ ? &tls_->info() : nullptr; }

// The handshake begins when the client has the 220. What it has sent after the command, in the clear, might have been put
// there by somebody in between: it is refused before this (smtpd_forbid_unauth_pipelining), or forgotten here.
Session::Answer Session::cmd_starttls(const smtp::CommandLine& line)
{
    if (!line.argument().empty())
        co_return smtp::Reply(501, "5.5.4", "Syntax: STARTTLS");
    if (tls_)
        co_return smtp::Reply(554, "5.5.1", "Error: TLS already active");
    const uint32_t discarded = co_await discarded_keywords();
    if (!server_.tls || server_.tls->settings().level == TlsLevel::None || (discarded & EhloStartTls) != 0)
        co_return smtp::Reply(502, "5.5.1", "Error: command not implemented");
    if (!server_.tls->context())
        co_return smtp::Reply(454, "4.7.0", "TLS not available due to local problem");
    auto too_many = co_await refuse_handshake();
    if (too_many)
        co_return std::move(*too_many);
    if (const size_t count = chat_.discard_buffered(); count > 0)
        log::warning("discarded ", count, " bytes after STARTTLS from ", client_.label());
    starting_tls_ = true;
    co_return smtp::Reply(220, "2.0.0", "Ready to start TLS");
}

// smtpd_client_new_tls_session_rate_limit: of sessions that go on with an earlier one, any number may come.
Task<std::optional<smtp::Reply>> Session::refuse_handshake()
{
    const uint32_t limit = server_.settings.tls_session_rate_limit;
    if (limit == 0 || !visit_.counted() || visit_.tls_session_rate(server_.loop.now()) < limit)
        co_return std::nullopt;
    const bool limited = co_await limits_apply();
    if (!limited)
        co_return std::nullopt;
    log::warning("New TLS session rate limit exceeded: ", limit, " from ", client_.label());
    co_return smtp::Reply(421, "4.7.0",
                          cat(server_.settings.hostname, " Error: too many new TLS sessions from ", client_.address));
}

// After it nothing is left of what the client has said before (RFC 3207 section 4.2).
Task<Result<void>> Session::start_tls()
{
    starting_tls_ = false;
    const TlsSettings& settings = server_.tls->settings();
    const Deadline deadline = Deadline::after(settings.handshake_timeout);
    Result<void> done = co_await shake_hands(deadline);
    if (!done) {
        mute_ = true;
        co_return std::move(done.error());
    }
    chat_.switch_to(*tls_);
    reset_mail();
    helo_.clear();
    protocol_ = "";
    login_ = Login();
    standing_actions_.reset();
    co_return Result<void>();
}

Task<Result<void>> Session::shake_hands(Deadline deadline)
{
    const TlsSettings& settings = server_.tls->settings();
    if (settings.log_level >= 2)
        log::info("setting up TLS connection from ", client_.label());
    if (!server_.tls->context()) {
        log::warning("TLS with ", client_.label(), ": there is no certificate to be shown");
        co_return Error::disconnected("no certificate");
    }
    auto stream = tls::TlsStream::server(server_.tls->context(), chat_.stream());
    if (!stream) {
        log::warning("TLS with ", client_.label(), ": ", stream.error().full_text());
        co_return std::move(stream.error());
    }
    waiting_ = true; // a stop need not wait for the client
    Result<void> done = co_await (*stream)->handshake(deadline);
    waiting_ = false;
    if (!done) {
        const bool timed_out = done.error().kind() == ErrorKind::TimedOut;
        const bool refused = done.error().kind() == ErrorKind::Permanent;
        log::info("SSL_accept error from ", client_.label(), ": ",
                  timed_out ? "Connection timed out" : refused ? "-1" : done.error().text());
        if (refused)
            log_library_lines(done.error().text());
        co_return timed_out ? std::move(done.error()) : Error::disconnected("lost connection");
    }
    tls_ = std::move(*stream);
    if (!tls_->info().resumed && visit_.counted())
        visit_.count_tls_session(server_.loop.now());
    log_tls(settings);
    co_return Result<void>();
}

void Session::log_tls(const TlsSettings& settings) const
{
    const tls::SessionInfo& info = tls_->info();
    if (settings.log_level >= 1)
        log::info(to_word(info.trust), " TLS connection ", info.resumed ? "reused" : "established", " from ",
                  client_.label(), info.server_name.empty() ? "" : " to ", info.server_name, ": ", info.summary(true, " "));
    if (settings.log_level >= 2 && info.has_peer_certificate())
        log_certificate(client_.label(), info);
}

// smtpd_tls_req_ccert: the handshake has made sure that there is a certificate; here it is whether it is worth something.
std::optional<smtp::Reply> Session::check_client_certificate()
{
    if (!tls_ || !server_.tls->settings().server.require_certificate || tls_->info().trust >= tls::PeerTrust::Trusted)
        return std::nullopt;
    log::info("NOQUEUE: abort: TLS from ", client_.label(), ": Client certificate not trusted");
    return smtp::Reply(554, "5.7.1", cat(server_.settings.hostname, " Error: Client certificate not trusted"));
}

// So that the client knows that nothing was cut off.
Task<void> Session::end_tls()
{
    if (!tls_)
        co_return;
    const Deadline deadline = Deadline::after(goodbye_time);
    co_await tls_->end(deadline);
}

} // namespace posthouse::smtpd
