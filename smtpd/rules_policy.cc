// check_policy_service: what a policy server is told of a session, and its answer.
#include "lib/base/cat.h"
#include "lib/base/random.h"
#include "lib/tls/session_info.h"
#include "smtpd/evaluation.h"
#include "smtpd/policy_client.h"
#include "smtpd/policy_protocol.h"
#include "smtpd/server.h"

#include <chrono>
#include <unistd.h>

namespace posthouse::smtpd {

namespace {

// No two mails have the same, whichever process takes them.
std::string fresh_instance()
{
    using namespace std::chrono;
    const auto now = duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
    return cat(::getpid(), '.', now / 1000000, '.', now % 1000000, '.', random_below(65536));
}

void add_tls(PolicyRequest& request, const tls::SessionInfo& info)
{
    const bool trusted = info.trust >= tls::PeerTrust::Trusted;
    request.add("ccert_subject", trusted ? xtext(info.subject_name) : std::string());
    request.add("ccert_issuer", trusted ? xtext(info.issuer_name) : std::string());
    request.add("ccert_fingerprint", info.certificate_fingerprint);
    request.add("ccert_pubkey_fingerprint", info.key_fingerprint);
    request.add("encryption_protocol", info.protocol);
    request.add("encryption_cipher", info.cipher);
    request.add("encryption_keysize", std::to_string(info.bits_used));
}

} // namespace

// All attributes always, in one order: servers are known to count on it.
std::string Evaluation::policy_request(const PolicySettings& service) const
{
    const Settings& settings = case_.server.settings;
    const bool after_recipients = case_.where == "DATA" || case_.where == "END-OF-MESSAGE";
    std::string instance;
    std::string& name = case_.instance ? *case_.instance : instance;
    if (name.empty())
        name = fresh_instance();
    static const tls::SessionInfo no_tls;

    PolicyRequest request;
    request.add("protocol_state", case_.where);
    request.add("protocol_name", case_.protocol.empty() ? std::string_view("SMTP") : case_.protocol);
    request.add("client_address", case_.client.address);
    request.add("client_name", case_.client.name);
    request.add("client_port", case_.client.port);
    request.add("reverse_client_name", case_.client.reverse_name);
    const bool by_ip = case_.client.server_port != 0;
    request.add("server_address", by_ip ? case_.client.server_ip.to_text() : std::string());
    request.add("server_port", by_ip ? std::to_string(case_.client.server_port) : std::string());
    request.add("helo_name", case_.helo);
    request.add("sender", case_.sender ? case_.sender->given : std::string());
    request.add("recipient", case_.recipient ? std::string_view(case_.recipient->given) : case_.only_recipient);
    request.add("recipient_count", after_recipients ? std::to_string(case_.recipient_count) : std::string("0"));
    request.add("queue_id", case_.queue_id == "NOQUEUE" ? std::string_view() : case_.queue_id);
    request.add("instance", name);
    request.add("size", std::to_string(case_.size));
    request.add("etrn_domain", case_.etrn_domain);
    request.add("stress", settings.stress);
    request.add("sasl_method", case_.login_method);
    request.add("sasl_username", case_.login);
    request.add("sasl_sender", case_.login_sender);
    add_tls(request, case_.tls ? *case_.tls : no_tls);
    request.add("policy_context", service.context);
    request.add("compatibility_level", settings.compatibility_level);
    request.add("mail_version", settings.mail_version);
    request.add("tls_sni", case_.tls ? case_.tls->server_name : std::string());
    return std::move(request).finish();
}

Task<Verdict> Evaluation::check_policy(const Rule& rule)
{
    const std::string request = policy_request(rule.policy->settings());
    std::string action = co_await rule.policy->ask(request);
    co_return co_await apply(std::move(action), subject_, "policy query");
}

} // namespace posthouse::smtpd
