#include "t/unit/tls/certificates.h"

#include "lib/tls/openssl.h"

#include <stdexcept>

namespace posthouse::test {

using namespace posthouse::tls;

namespace {

std::string text_of(BIO* bio)
{
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio, &bytes);
    return std::string(bytes, static_cast<size_t>(size));
}

void require(bool good)
{
    if (!good)
        throw std::runtime_error(take_reasons());
}

void add_extension(X509* certificate, int kind, const std::string& value)
{
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    require(extension != nullptr);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

} // namespace

TestPair make_pair(const std::string& name, const TestPair* issuer, KeyKind kind, long from, long until)
{
    const KeyPtr key(kind == KeyKind::Rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
    const CertificatePtr certificate(X509_new());
    require(key && certificate);
    static long serial = 1;
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), ++serial);
    X509_set_version(certificate.get(), X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), from);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), until);
    X509_set_pubkey(certificate.get(), key.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    add_extension(certificate.get(), NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE");
    if (name.find(' ') == std::string::npos)
        add_extension(certificate.get(), NID_subject_alt_name, "DNS:" + name);
    if (issuer) {
        const BioPtr authority = bio_of(issuer->certificate);
        const CertificatePtr signer(PEM_read_bio_X509(authority.get(), nullptr, nullptr, nullptr));
        const BioPtr signer_pem = bio_of(issuer->key);
        const KeyPtr signer_key(PEM_read_bio_PrivateKey(signer_pem.get(), nullptr, nullptr, nullptr));
        X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer.get()));
        require(X509_sign(certificate.get(), signer_key.get(), EVP_sha256()) > 0);
    } else {
        X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
        require(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0);
    }
    const BioPtr key_out(BIO_new(BIO_s_mem()));
    const BioPtr certificate_out(BIO_new(BIO_s_mem()));
    require(PEM_write_bio_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
    require(PEM_write_bio_X509(certificate_out.get(), certificate.get()) == 1);
    TestPair pair;
    pair.key = text_of(key_out.get());
    pair.certificate = text_of(certificate_out.get());
    return pair;
}

} // namespace posthouse::test
