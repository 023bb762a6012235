// AUTH (RFC 4954): passes what client and authentication service say to each other on, whatever the mechanism. What the
// client says is wiped when it has been passed on, and never logged.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/secret.h"
#include "lib/event/loop.h"
#include "lib/log/log.h"
#include "lib/sasl/auth_client.h"
#include "lib/tls/stream.h"
#include "smtpd/sasl_service.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

#include <algorithm>

namespace posthouse::smtpd {

namespace {

constexpr uint32_t most_doublings = 4; // of the pause after a failure
constexpr int most_rounds = 50;        // of challenge and response: no mechanism has nearly as many

std::string or_unknown(const std::string& reason)
{
    return reason.empty() ? std::string("(reason unavailable)") : reason;
}

} // namespace

// Whether AUTH makes sense here and now, for EHLO and for the command.
Task<bool> Session::offers_auth()
{
    SaslService* service = server_.sasl.get();
    const uint32_t discarded = co_await discarded_keywords();
    if (!service || (discarded & EhloAuth) != 0)
        co_return false;
    const bool excepted = co_await service->excepts(client_.name, client_.ip);
    co_return !excepted;
}

// "AUTH PLAIN LOGIN" and, for old clients, "AUTH=PLAIN LOGIN". Nothing when the service is not there: its client has
// logged that, and the session goes on without.
Task<void> Session::add_auth_lines(smtp::Reply& reply)
{
    const bool offer = co_await offers_auth();
    if (!offer || (!tls_ && (server_.sasl->tls_only || must_start_tls())))
        co_return;
    auto names = co_await server_.sasl->offered(tls_info());
    if (!names || names->empty())
        co_return;
    std::string list;
    for (const std::string& name : *names)
        append_to(list, list.empty() ? "" : " ", name);
    reply.add(cat("AUTH ", list));
    if (server_.sasl->broken_clients)
        reply.add(cat("AUTH=", list));
}

Session::Answer Session::cmd_auth(const smtp::CommandLine& line)
{
    chat_.wipe_spent();
    auth_was_last_ = true;
    if (server_.settings.helo_required && helo_.empty())
        co_return smtp::Reply(503, "5.5.1", "Error: send HELO/EHLO first");
    const bool offered = co_await offers_auth();
    if (!offered)
        co_return smtp::Reply(503, "5.5.1", "Error: authentication not enabled");
    if (mail_)
        co_return smtp::Reply(503, "5.5.1", "Error: MAIL transaction in progress");
    if (server_.sasl->tls_only && !tls_)
        co_return smtp::Reply(538, "5.7.0", "Encryption required for requested authentication mechanism");
    if (!login_.user.empty())
        co_return smtp::Reply(503, "5.5.1", "Error: already authenticated");
    const auto words = ascii::split(line.argument(), " \t");
    if (words.empty() || words.size() > 2 || !sasl::is_mechanism_name(words[0]))
        co_return smtp::Reply(501, "5.5.4", "Syntax: AUTH mechanism");
    const bool limited = co_await limits_apply();
    if (limited && server_.settings.auth_rate_limit > 0
        && visit_.count_auth(server_.loop.now()) > server_.settings.auth_rate_limit) {
        log::warning("AUTH command rate limit exceeded: ", server_.settings.auth_rate_limit, " from ", client_.label());
        co_return smtp::Reply(450, "4.7.1", cat("Error: too many AUTH commands from ", client_.address));
    }
    sasl::AuthRequest request = auth_request(words[0]);
    if (words.size() == 2)
        request.initial.emplace(words[1] == "=" ? std::string_view() : words[1]); // RFC 4954 section 4: "=" is nothing
    co_return co_await authenticate(std::move(request));
}

sasl::AuthRequest Session::auth_request(std::string_view mechanism)
{
    sasl::AuthRequest request;
    request.mechanism = ascii::upper(mechanism);
    request.service = server_.sasl->service_name;
    request.remote_address = client_.address;
    request.remote_port = static_cast<uint16_t>(ascii::parse_unsigned(client_.port).value_or(0));
    request.secured = tls_ != nullptr;
    // For EXTERNAL: what smtpd_tls_CAfile and its like vouch for.
    if (tls_ && !for_another_ && tls_->info().trust >= tls::PeerTrust::Trusted)
        request.certificate_user = tls_->info().login_name;
    if (client_.server_port != 0) {
        request.local_address = client_.server_ip.to_text();
        request.local_port = client_.server_port;
    }
    return request;
}

Session::Answer Session::authenticate(sasl::AuthRequest request)
{
    const std::string mechanism = request.mechanism;
    auto names = co_await server_.sasl->offered(tls_info());
    if (!names)
        co_return auth_unavailable(mechanism, names.error());
    if (std::find(names->begin(), names->end(), mechanism) == names->end())
        co_return co_await auth_failed(mechanism, "", "Invalid authentication mechanism");
    if (request.initial && !sasl::is_base64(request.initial->reveal()))
        co_return co_await auth_failed(mechanism, "", "Invalid base64 data in initial response");

    sasl::AuthExchange exchange(server_.sasl->client());
    auto reply = co_await exchange.begin(std::move(request), server_.sasl->reply_deadline());
    for (int round = 0; reply && reply->kind == sasl::AuthReply::Kind::Continue; ++round) {
        if (round == most_rounds)
            co_return co_await auth_failed(mechanism, "", "Too many challenges");
        const smtp::Reply challenge(334, "", reply->challenge);
        CO_CHECK(co_await send(challenge));
        auto response = co_await read_response(mechanism);
        if (!response)
            co_return std::move(response.error());
        if (response->refusal)
            co_return std::move(*response->refusal);
        if (!sasl::is_base64(response->text.reveal()))
            co_return co_await auth_failed(mechanism, "", "Invalid base64 data in continued response");
        reply = co_await exchange.answer(std::move(response->text), server_.sasl->reply_deadline());
    }
    if (!reply)
        co_return auth_unavailable(mechanism, reply.error());
    if (reply->kind == sasl::AuthReply::Kind::Refused) {
        if (reply->temporary)
            co_return auth_unavailable(mechanism, Error(ErrorKind::Temporary, or_unknown(reply->reason)));
        co_return co_await auth_failed(mechanism, reply->user, reply->reason);
    }
    login_.user = std::move(reply->user);
    login_.method = mechanism;
    auth_was_last_ = false; // nothing of the login is still to come
    co_return smtp::Reply(235, "2.7.0", "Authentication successful");
}

// One line of the client in reply to a challenge. An Error: the client is gone.
Task<Result<Session::AuthResponse>> Session::read_response(const std::string& mechanism)
{
    const Deadline deadline = Deadline::after(server_.settings.timeout);
    waiting_ = true;
    auto line = co_await chat_.read_line(server_.sasl->response_limit, deadline);
    waiting_ = false;
    chat_.wipe_spent();
    if (!line)
        co_return std::move(line.error());
    AuthResponse response;
    if (line->too_long) {
        log::warning(client_.label(), ": SASL ", mechanism, " authentication failed: response longer than ",
                     server_.sasl->response_limit, " (smtpd_sasl_response_limit)");
        response.refusal.emplace(500, "5.5.6", "Error: authentication exchange line is too long"); // RFC 4954 section 4
    } else if (line->line == "*") {
        log::warning(client_.label(), ": SASL ", mechanism, " authentication aborted");
        response.refusal.emplace(501, "5.7.0", "Authentication aborted");
    } else {
        response.text = Secret(line->line);
    }
    wipe(line->line);
    co_return response;
}

// The reply comes later with each failure of this client, on whatever connection. The service may have a pause of its
// own; this one also holds where it has none.
Session::Answer Session::auth_failed(std::string mechanism, std::string user, std::string reason)
{
    log::warning(client_.label(), ": SASL ", mechanism, " authentication failed: ", or_unknown(reason),
                 ", sasl_username=", user.empty() ? "(unavailable)" : user);
    const bool limited = co_await limits_apply();
    if (limited) {
        const uint32_t failures = visit_.count_auth_failure(server_.loop.now());
        const Duration pause = server_.settings.error_sleep_time * (int64_t(1) << std::min(failures - 1, most_doublings));
        co_await sleep_for(server_.loop, pause);
    }
    co_return smtp::Reply(535, "5.7.8", cat("Error: authentication failed: ", or_unknown(reason)));
}

// Not for the client to answer for, and nothing that should make it ask for another password.
smtp::Reply Session::auth_unavailable(const std::string& mechanism, const Error& error)
{
    const bool told = error.kind() == ErrorKind::Temporary;
    const std::string reason = told ? error.text() : "Connection lost to authentication server";
    log::warning(client_.label(), ": SASL ", mechanism, " authentication failed: ", reason, told ? "" : ": ",
                 told ? "" : error.full_text());
    forgive_ = true;
    return smtp::Reply(454, "4.7.0", cat("Temporary authentication failure: ", reason));
}

} // namespace posthouse::smtpd
