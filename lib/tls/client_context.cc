// The client's side of handshakes: see client_context.h.
#include "lib/tls/client_context.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/tls/context_parts.h"

#include <algorithm>
#include <iterator>

namespace posthouse::tls {

namespace {

struct Level {
    std::string_view word;
    ClientLevel level;
};
constexpr Level levels[] = {
    {"none", ClientLevel::None},     {"may", ClientLevel::May},       {"encrypt", ClientLevel::Encrypt},
    {"verify", ClientLevel::Verify}, {"secure", ClientLevel::Secure},
};

// What is wrong with a certificate is found out in the handshake and judged after it.
int take_any_certificate(int, X509_STORE_CTX*) { return 1; }

// The names to match live in the session's verification parameters.
void expect_names(SSL* session, const std::vector<std::string>& names)
{
    X509_VERIFY_PARAM* parameters = SSL_get0_param(session);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    for (const std::string& name : names)
        X509_VERIFY_PARAM_add1_host(parameters, name.c_str(), name.size());
}

} // namespace

bool parse_client_level(std::string_view word, ClientLevel& into)
{
    const auto* found =
        std::find_if(std::begin(levels), std::end(levels), [&](const Level& row) { return ascii::equal(row.word, word); });
    if (found == std::end(levels))
        return false;
    into = found->level;
    return true;
}

ClientContext::~ClientContext() { SSL_CTX_free(context_); }

Result<std::shared_ptr<const ClientContext>> ClientContext::create(const CommonSettings& settings, const FileSet& files,
                                                                   std::vector<std::string>& remarks)
{
    auto context = make_context(TLS_client_method(), settings);
    if (!context)
        return std::move(context.error());
    std::shared_ptr<ClientContext> made(new ClientContext);
    made->context_ = context->release();
    if (settings.has_certificate())
        RETURN_IF_ERROR(use_certificates(made->context_, settings, files, remarks));
    RETURN_IF_ERROR(use_authorities(made->context_, settings, files, false));
    auto digest = find_digest(settings.fingerprint_digest);
    if (!digest)
        return std::move(digest.error());
    made->digest_ = *digest;
    SSL_CTX_set_verify(made->context_, SSL_VERIFY_PEER, take_any_certificate);
    SSL_CTX_set_session_cache_mode(made->context_, SSL_SESS_CACHE_OFF);
    return std::shared_ptr<const ClientContext>(std::move(made));
}

Result<ssl_st*> ClientContext::begin(const ClientWish& wish) const
{
    ERR_clear_error();
    SslPtr session(SSL_new(context_));
    if (!session)
        return library_error("cannot begin a TLS session", ErrorKind::Temporary);
    if (!wish.server_name.empty() && SSL_set_tlsext_host_name(session.get(), wish.server_name.c_str()) != 1)
        return library_error(cat("cannot ask for ", wish.server_name), ErrorKind::Permanent);
    expect_names(session.get(), wish.names);
    return session.release();
}

// X509_V_OK covers the names when there were any to match.
void ClientContext::judge(ssl_st* session, SessionInfo& info) const
{
    const char* matched = SSL_get0_peername(session);
    if (info.trust == PeerTrust::Trusted && matched)
        info.trust = PeerTrust::Verified;
    if (SSL_get_verify_result(session) == X509_V_ERR_HOSTNAME_MISMATCH)
        info.trust = PeerTrust::Untrusted;
}

Result<void> satisfies(ClientLevel level, const SessionInfo& info)
{
    if (level < ClientLevel::Verify || info.trust == PeerTrust::Verified)
        return Result<void>();
    if (!info.has_peer_certificate())
        return Error(ErrorKind::Temporary, "4.7.5", "the server has shown no certificate");
    return Error(ErrorKind::Temporary, "4.7.5",
                 cat("Server certificate not ", info.trust == PeerTrust::Trusted ? "verified" : "trusted", ": ",
                     info.trust_fault.empty() ? "no name to check it against" : info.trust_fault));
}

} // namespace posthouse::tls
