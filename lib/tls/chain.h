// Chain: a private key, its certificate, and those that vouch for it, from PEM text. Parsed once, then shown in any
// number of sessions.
#pragma once

#include "lib/tls/openssl.h"

#include <string>
#include <string_view>
#include <vector>

namespace posthouse::tls {

// One PEM text and where it came from, for messages: "smtpd_tls_chain_files: /etc/ssl/a.pem".
struct PemText {
    std::string source;
    std::string_view text;
};

class Chain {
public:
    // As smtpd_tls_chain_files has them: each key comes before its certificate and the ones that vouch for that; any
    // number of chains, and a chain may go on in the next text. At least one.
    static Result<std::vector<Chain>> parse(const std::vector<PemText>& texts);
    // As smtpd_tls_cert_file and smtpd_tls_key_file have them, which may be the same text.
    static Result<Chain> pair(const PemText& certificates, const PemText& key);

    // Beside those for other kinds of keys, in place of one for the same kind.
    Result<void> put_into(SSL_CTX* context) const;
    Result<void> put_into(SSL* session) const;

    // What an administrator should hear of: "SOURCE: the certificate has ended on ...". Empty: nothing.
    std::string warning() const;

private:
    Chain() = default;
    Result<void> check() const;

    KeyPtr key_;
    CertificatePtr leaf_;
    CertificateStack issuers_;
    std::string key_source_;
    std::string certificate_source_;
};

// All certificates of a PEM text, at least one: NotFound when there is none.
Result<std::vector<CertificatePtr>> parse_certificates(const PemText& text);

} // namespace posthouse::tls
