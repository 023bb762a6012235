// Keys and certificates from PEM text: see chain.h.
#include "lib/tls/chain.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

#include <utility>

namespace posthouse::tls {

namespace {

// One block between BEGIN and END: at most one of the two.
struct PemItem {
    KeyPtr key;
    CertificatePtr certificate;
};

Error fault(const PemText& text, std::string_view what)
{
    return Error(ErrorKind::Config, cat(text.source, ": ", what));
}

Result<PemItem> to_item(const PemText& text, std::string_view label, const unsigned char* bytes, long size)
{
    PemItem item;
    if (label == "ENCRYPTED PRIVATE KEY")
        return fault(text, "the key is protected by a pass phrase, which nobody is there to type");
    if (label.ends_with("PRIVATE KEY")) {
        item.key.reset(d2i_AutoPrivateKey(nullptr, &bytes, size));
        if (!item.key)
            return library_error(cat(text.source, ": cannot read the key"));
    } else if (label == "CERTIFICATE" || label == "X509 CERTIFICATE" || label == "TRUSTED CERTIFICATE") {
        item.certificate.reset(label == "TRUSTED CERTIFICATE" ? d2i_X509_AUX(nullptr, &bytes, size)
                                                              : d2i_X509(nullptr, &bytes, size));
        if (!item.certificate)
            return library_error(cat(text.source, ": cannot read the certificate"));
    }
    return item; // neither: parameters of a curve and the like, which the key has as well
}

// Calls `take(item)`, which gives a Result<void>, for each block of the text.
template <class Take>
Result<void> each_item(const PemText& text, Take take)
{
    ERR_clear_error();
    const BioPtr bio = bio_of(text.text);
    while (true) {
        char* label = nullptr;
        char* header = nullptr;
        unsigned char* bytes = nullptr;
        long size = 0;
        if (PEM_read_bio(bio.get(), &label, &header, &bytes, &size) != 1) {
            if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
                return library_error(cat(text.source, ": this is not PEM"));
            ERR_clear_error();
            return Result<void>();
        }
        const std::unique_ptr<char, FreedBy<free_openssl_bytes>> owned_label(label);
        const std::unique_ptr<char, FreedBy<free_openssl_bytes>> owned_header(header);
        const bool encrypted = std::string_view(header).find("ENCRYPTED") != std::string_view::npos;
        Result<PemItem> item = to_item(text, encrypted ? "ENCRYPTED PRIVATE KEY" : label, bytes, size);
        OPENSSL_clear_free(bytes, static_cast<size_t>(size));
        if (!item)
            return std::move(item.error());
        RETURN_IF_ERROR(take(std::move(*item)));
    }
}

} // namespace

Result<std::vector<CertificatePtr>> parse_certificates(const PemText& text)
{
    std::vector<CertificatePtr> found;
    RETURN_IF_ERROR(each_item(text, [&](PemItem item) {
        if (item.certificate)
            found.push_back(std::move(item.certificate));
        return Result<void>();
    }));
    if (found.empty())
        return Error(ErrorKind::NotFound, cat(text.source, ": no certificate in it"));
    return found;
}

Result<std::vector<Chain>> Chain::parse(const std::vector<PemText>& texts)
{
    std::vector<Chain> chains;
    for (const PemText& text : texts) {
        const auto take = [&](PemItem item) -> Result<void> {
            if (item.key) {
                chains.push_back(Chain());
                chains.back().key_ = std::move(item.key);
                chains.back().key_source_ = text.source;
                chains.back().issuers_.reset(sk_X509_new_null());
            } else if (item.certificate && chains.empty()) {
                return fault(text, "a certificate comes before its key");
            } else if (item.certificate && !chains.back().leaf_) {
                chains.back().leaf_ = std::move(item.certificate);
                chains.back().certificate_source_ = text.source;
            } else if (item.certificate && sk_X509_push(chains.back().issuers_.get(), item.certificate.get()) > 0) {
                (void)item.certificate.release(); // the stack's now
            }
            return Result<void>();
        };
        RETURN_IF_ERROR(each_item(text, take));
    }
    if (chains.empty()) // nor a certificate: one without a key was told of above
        return Error(ErrorKind::Config, cat(texts.empty() ? std::string() : texts.front().source,
                                            ": neither a key nor a certificate in it"));
    for (const Chain& chain : chains)
        RETURN_IF_ERROR(chain.check());
    return chains;
}

Result<Chain> Chain::pair(const PemText& certificates, const PemText& key)
{
    Chain chain;
    chain.key_source_ = key.source;
    chain.certificate_source_ = certificates.source;
    chain.issuers_.reset(sk_X509_new_null());
    // The certificate first: when both are in one file that is neither, the certificate's parameter is the one that was set.
    auto found = parse_certificates(certificates);
    if (!found)
        return Error(ErrorKind::Config, found.error().full_text());
    RETURN_IF_ERROR(each_item(key, [&](PemItem item) {
        if (item.key && !chain.key_)
            chain.key_ = std::move(item.key);
        return Result<void>();
    }));
    if (!chain.key_)
        return fault(key, "no key in it");
    for (CertificatePtr& certificate : *found) {
        if (!chain.leaf_)
            chain.leaf_ = std::move(certificate);
        else if (sk_X509_push(chain.issuers_.get(), certificate.get()) > 0)
            (void)certificate.release(); // the stack's now
    }
    RETURN_IF_ERROR(chain.check());
    return chain;
}

Result<void> Chain::check() const
{
    if (!leaf_)
        return Error(ErrorKind::Config, cat(key_source_, ": the key has no certificate behind it"));
    if (X509_check_private_key(leaf_.get(), key_.get()) != 1) {
        ERR_clear_error();
        return Error(ErrorKind::Config,
                     key_source_ == certificate_source_
                         ? cat(key_source_, ": the key is not that of the certificate")
                         : cat(key_source_, ": the key is not that of the certificate in ", certificate_source_));
    }
    return Result<void>();
}

Result<void> Chain::put_into(SSL_CTX* context) const
{
    if (SSL_CTX_use_cert_and_key(context, leaf_.get(), key_.get(), issuers_.get(), 1) != 1)
        return library_error(cat(certificate_source_, ": cannot use the certificate"));
    return Result<void>();
}

Result<void> Chain::put_into(SSL* session) const
{
    if (SSL_use_cert_and_key(session, leaf_.get(), key_.get(), issuers_.get(), 1) != 1)
        return library_error(cat(certificate_source_, ": cannot use the certificate"));
    return Result<void>();
}

std::string Chain::warning() const
{
    const bool ended = X509_cmp_current_time(X509_get0_notAfter(leaf_.get())) < 0;
    const bool begun = X509_cmp_current_time(X509_get0_notBefore(leaf_.get())) < 0;
    if (ended)
        return cat(certificate_source_, ": the certificate is no longer valid");
    return begun ? std::string() : cat(certificate_source_, ": the certificate is not valid yet");
}

} // namespace posthouse::tls
