// The restrictions that need no more than the session and tables of our own, one function each (postconf(5),
// smtpd_recipient_restrictions and others). Those that ask DNS are in rules_dns.cc, rules_lists.cc and rules_servers.cc,
// policy servers in rules_policy.cc, access tables in access.cc.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/event/loop.h"
#include "lib/table/match_list.h"
#include "lib/tls/session_info.h"
#include "smtpd/evaluation.h"
#include "smtpd/hostname.h"
#include "smtpd/server.h"
#include "smtpd/verifier.h"

#include <algorithm>

namespace posthouse::smtpd {

Task<Verdict> Evaluation::permit(const Rule&)
{
    co_return co_await permitted("permit", subject_);
}

Task<Verdict> Evaluation::reject(const Rule&)
{
    co_return rejected(case_.server.settings.reject_code, "5.7.1", subject_, "Access denied");
}

Task<Verdict> Evaluation::defer(const Rule&)
{
    co_return rejected(case_.server.settings.defer_code, "4.3.2", subject_, "Try again later");
}

Task<Verdict> Evaluation::defer_if_permit(const Rule&)
{
    if (!warn_only_ && !defer_if_permit_)
        defer_if_permit_ = rejected(450, "4.7.0", subject_, "defer_if_permit requested");
    co_return Verdict();
}

Task<Verdict> Evaluation::defer_if_reject(const Rule&)
{
    if (!warn_only_ && !defer_if_reject_)
        defer_if_reject_ = rejected(450, "4.7.0", subject_, "defer_if_reject requested");
    co_return Verdict();
}

Task<Verdict> Evaluation::sleep(const Rule& rule)
{
    const auto seconds = ascii::parse_unsigned(rule.text);
    const Duration pause = Duration::seconds(static_cast<int64_t>(std::min(seconds.value_or(1), 300ull)));
    co_await sleep_for(case_.server.loop, pause);
    co_return Verdict();
}

Task<Verdict> Evaluation::permit_mynetworks(const Rule& rule)
{
    if (!case_.in_mynetworks) {
        Result<bool> inside = co_await case_.server.mynetworks->matches_client(case_.client.name, case_.client.ip);
        if (!inside)
            co_return lookup_failure(Subject::Client);
        case_.in_mynetworks = *inside;
    }
    if (!*case_.in_mynetworks)
        co_return Verdict();
    co_return co_await permitted(rule.type->name, Subject::Client);
}

Task<Verdict> Evaluation::permit_inet_interfaces(const Rule& rule)
{
    if (!case_.server.is_own_address(case_.client.ip))
        co_return Verdict();
    co_return co_await permitted(rule.type->name, Subject::Client);
}

Task<Verdict> Evaluation::permit_sasl_authenticated(const Rule& rule)
{
    if (case_.login.empty())
        co_return Verdict();
    co_return co_await permitted(rule.type->name, Subject::Client);
}

// Whether we are the recipient's destination, or a relay for it, without the sender naming a way
// through us.
Task<Result<bool>> Evaluation::recipient_is_ours()
{
    if (!route_) {
        std::string address = case_.recipient->completed;
        std::string sender = case_.sender ? case_.sender->completed : std::string();
        auto route = co_await case_.server.router->route(std::move(address), std::move(sender));
        if (!route)
            co_return std::move(route.error());
        route_ = std::move(*route);
    }
    if (route_->sender_routed && !case_.server.settings.allow_untrusted_routing)
        co_return false;
    co_return route_->address_class != queue::AddressClass::Default;
}

Task<Verdict> Evaluation::permit_auth_destination(const Rule& rule)
{
    if (!case_.recipient)
        co_return Verdict();
    Result<bool> ours = co_await recipient_is_ours();
    if (!ours)
        co_return lookup_failure(Subject::Recipient);
    if (!*ours)
        co_return Verdict();
    co_return co_await permitted(rule.type->name, Subject::Recipient);
}

Task<Verdict> Evaluation::reject_unauth_destination(const Rule& rule)
{
    if (!case_.recipient)
        co_return Verdict();
    Result<bool> ours = co_await recipient_is_ours();
    if (!ours)
        co_return lookup_failure(Subject::Recipient);
    if (*ours)
        co_return Verdict();
    const int code = case_.server.settings.relay_reject_code - (rule.type->variant == 1 ? 100 : 0);
    co_return Verdict::refuse(code, "5.7.1", cat(shown(Subject::Recipient), ": Relay access denied"));
}

Task<Verdict> Evaluation::reject_unlisted(const Rule& rule)
{
    co_return co_await unlisted(static_cast<Subject>(rule.type->variant));
}

// An unknown recipient of one of our domains; the null sender is always known.
Task<Verdict> Evaluation::unlisted(Subject subject)
{
    const Mailbox* box = mailbox(subject);
    // Whoever gets our probes may ask whether their sender is real.
    if (!box || box->completed.empty() || case_.server.verifier->is_sender(box->completed))
        co_return Verdict();
    std::string address = box->completed;
    auto check = co_await case_.server.router->known_recipient(std::move(address));
    if (!check)
        co_return lookup_failure(subject);
    if (check->state == queue::RecipientCheck::State::Known)
        co_return Verdict();
    // RFC 3463: 5.1.1 and its like speak of recipients, 5.1.0 is for a sender.
    const std::string_view dsn = subject == Subject::Sender ? std::string_view("5.1.0") : std::string_view(check->dsn);
    co_return rejected(check->code, dsn, subject, check->text);
}

Task<Verdict> Evaluation::reject_non_fqdn(const Rule& rule)
{
    const Subject subject = static_cast<Subject>(rule.type->variant);
    const int code = case_.server.settings.non_fqdn_code;
    if (subject == Subject::Helo) {
        if (case_.helo.empty() || is_literal(case_.helo) || is_fqdn(case_.helo))
            co_return Verdict();
        co_return rejected(code, "5.5.2", subject, "need fully-qualified hostname");
    }
    const Mailbox* box = mailbox(subject);
    // RFC 5321 section 4.5.1: postmaster needs no domain. Looked at as given: ours would be added later.
    if (!box || box->given.empty() || ascii::equal(box->given, "postmaster"))
        co_return Verdict();
    const size_t at = box->given.rfind('@');
    const std::string_view domain = at == std::string::npos ? std::string_view() : std::string_view(box->given).substr(at + 1);
    if (is_literal(domain) || is_fqdn(domain))
        co_return Verdict();
    co_return rejected(code, "5.5.2", subject, "need fully-qualified address");
}

Task<Verdict> Evaluation::reject_invalid_helo(const Rule&)
{
    std::string_view name = case_.helo;
    if (!name.empty() && name.back() == '.')
        name.remove_suffix(1);
    // A bare address is no name, but a usual one; Postfix takes it as well.
    if (name.empty() || is_literal(name) || net::IpAddress::parse(name) || is_hostname(name))
        co_return Verdict();
    co_return rejected(case_.server.settings.invalid_hostname_code, "5.5.2", Subject::Helo, "Invalid name");
}

Task<Verdict> Evaluation::reject_unauth_pipelining(const Rule&)
{
    if (!case_.pipelined)
        co_return Verdict();
    co_return rejected(503, "5.5.0", subject_, "Improper use of SMTP command pipelining");
}

// RFC 5321 section 4.5.5: a bounce has one recipient.
Task<Verdict> Evaluation::reject_multi_recipient_bounce(const Rule&)
{
    if (!case_.sender || !case_.sender->given.empty() || case_.recipient_count < 2)
        co_return Verdict();
    co_return rejected(case_.server.settings.multi_recipient_bounce_code, "5.5.3", subject_, "Multi-recipient bounce");
}

// Whoever has shown the key of a certificate is whom relay_clientcerts names, whether an authority vouches for it or not.
Task<Verdict> Evaluation::permit_tls_clientcerts(const Rule& rule)
{
    if (!case_.tls || !case_.own_certificate || !case_.tls->has_peer_certificate())
        co_return Verdict();
    bool known = case_.tls->trust >= tls::PeerTrust::Trusted;
    if (rule.type->variant != 1) {
        table::Value found = co_await find_certificate(*case_.server.client_certificates);
        if (!found)
            co_return lookup_failure(Subject::ClientCertificate);
        known = found->has_value();
    }
    if (!known)
        co_return Verdict();
    co_return co_await permitted(rule.type->name, Subject::Client);
}

Task<Verdict> Evaluation::reject_plaintext_session(const Rule&)
{
    if (case_.tls)
        co_return Verdict();
    co_return Verdict::refuse(case_.server.settings.plaintext_code, "4.7.1", "Session encryption is required");
}

} // namespace posthouse::smtpd
