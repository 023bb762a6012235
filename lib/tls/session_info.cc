// What a TLS session is, in words: see session_info.h; and how to ask OpenSSL for it.
#include "lib/tls/session_info.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/tls/read_session.h"

#include <optional>

namespace posthouse::tls {

namespace {

constexpr size_t longest_name = 255;

// What a certificate says goes into log lines and headers.
std::string harmless(std::string_view text)
{
    std::string clean(text.substr(0, longest_name));
    for (char& c : clean)
        if (ascii::is_control(c) || ascii::is_8bit(c) || std::string_view("()<>\\\"").find(c) != std::string_view::npos)
            c = '?';
    return clean;
}

std::optional<std::string> text_of(const X509_NAME* name, int entry)
{
    unsigned char* utf8 = nullptr;
    const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, entry)));
    const BytesPtr owned(utf8);
    if (size >= 0)
        return std::string(reinterpret_cast<const char*>(utf8), static_cast<size_t>(size));
    ERR_clear_error();
    return std::nullopt;
}

// The most specific common name; an organisation has to do when there is none.
std::string name_in(const X509_NAME* name)
{
    for (const int kind : {NID_commonName, NID_organizationName}) {
        const int at = X509_NAME_get_index_by_NID(name, kind, -1);
        if (at < 0)
            continue;
        if (const auto text = text_of(name, at))
            return harmless(*text);
    }
    return "";
}

// A user is somebody for certain, or nobody: neither one of several names nor a name with replaced characters.
std::string login_name_in(const X509_NAME* name)
{
    const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
        return "";
    const auto text = text_of(name, at);
    return text && harmless(*text) == *text ? *text : "";
}

std::string to_fingerprint(const unsigned char* bytes, size_t size)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string text;
    for (size_t at = 0; at < size; ++at) {
        if (at > 0)
            text.push_back(':');
        text.push_back(digits[bytes[at] >> 4]);
        text.push_back(digits[bytes[at] & 15]);
    }
    return text;
}

std::string certificate_fingerprint(const X509* certificate, const EVP_MD* digest)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    return X509_digest(certificate, digest, bytes, &size) == 1 ? to_fingerprint(bytes, size) : "";
}

std::string key_fingerprint(const X509* certificate, const EVP_MD* digest)
{
    unsigned char* encoded = nullptr;
    const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &encoded);
    const BytesPtr owned(encoded);
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned digest_size = 0;
    if (size <= 0 || EVP_Digest(encoded, static_cast<size_t>(size), bytes, &digest_size, digest, nullptr) != 1)
        return "";
    return to_fingerprint(bytes, digest_size);
}

std::string group_of(EVP_PKEY* key)
{
    char name[64];
    size_t size = 0;
    return EVP_PKEY_get_group_name(key, name, sizeof name, &size) == 1 ? std::string(name, size) : std::string();
}

std::string key_exchange(SSL* session)
{
    EVP_PKEY* raw = nullptr;
    if (SSL_get_peer_tmp_key(session, &raw) != 1) // none: the session is an older one that goes on
        return "";
    const KeyPtr key(raw);
    switch (EVP_PKEY_get_base_id(key.get())) {
    case EVP_PKEY_EC: {
        const std::string group = group_of(key.get());
        const char* nist = EC_curve_nid2nist(OBJ_sn2nid(group.c_str()));
        return cat("ECDHE (", nist ? nist : group, ')');
    }
    case EVP_PKEY_DH:
        return cat("DHE (", EVP_PKEY_get_bits(key.get()), " bits)");
    default:
        return OBJ_nid2sn(EVP_PKEY_get_base_id(key.get()));
    }
}

std::string signature(int type, EVP_PKEY* key)
{
    switch (type) {
    case EVP_PKEY_RSA:
        return cat("RSA", key ? cat(" (", EVP_PKEY_get_bits(key), " bits)") : std::string());
    case EVP_PKEY_RSA_PSS:
        return cat("RSA-PSS", key ? cat(" (", EVP_PKEY_get_bits(key), " bits)") : std::string());
    case EVP_PKEY_EC:
        return cat("ECDSA", key ? cat(" (", group_of(key), ')') : std::string());
    default:
        return OBJ_nid2sn(type);
    }
}

void read_signatures(SSL* session, SessionInfo& info)
{
    int type = 0;
    int digest = 0;
    const X509* peer = SSL_get0_peer_certificate(session);
    if (SSL_get_signature_type_nid(session, &type) == 1 && type != NID_undef) {
        info.own_signature = signature(type, SSL_get_privatekey(session));
        if (SSL_get_signature_nid(session, &digest) == 1 && digest != NID_undef)
            info.own_digest = OBJ_nid2sn(digest);
    }
    if (peer && SSL_get_peer_signature_type_nid(session, &type) == 1 && type != NID_undef) {
        info.peer_signature = signature(type, X509_get0_pubkey(peer));
        if (SSL_get_peer_signature_nid(session, &digest) == 1 && digest != NID_undef)
            info.peer_digest = OBJ_nid2sn(digest);
    }
}

} // namespace

std::string_view to_word(PeerTrust trust)
{
    constexpr std::string_view words[] = {"Anonymous", "Untrusted", "Trusted", "Verified"};
    return words[static_cast<size_t>(trust)];
}

std::string SessionInfo::summary(bool is_server, std::string_view separator) const
{
    std::string text = cat(protocol, " with cipher ", cipher, " (", bits_used, '/', bits, " bits)");
    const auto add = [&text](std::string_view before, std::string_view name, const std::string& value) {
        if (!value.empty())
            append_to(text, before, name, ' ', value);
    };
    add(separator, "key-exchange", key_exchange);
    add(" ", "server-signature", is_server ? own_signature : peer_signature);
    add(" ", "server-digest", is_server ? own_digest : peer_digest);
    add(separator, "client-signature", is_server ? peer_signature : own_signature);
    add(" ", "client-digest", is_server ? peer_digest : own_digest);
    return text;
}

SessionInfo read_session(SSL* session, const EVP_MD* digest)
{
    SessionInfo info;
    info.protocol = SSL_get_version(session);
    if (const SSL_CIPHER* cipher = SSL_get_current_cipher(session)) {
        info.cipher = SSL_CIPHER_get_name(cipher);
        info.bits_used = SSL_CIPHER_get_bits(cipher, &info.bits);
    }
    info.resumed = SSL_session_reused(session) == 1;
    if (SSL_version(session) >= TLS1_3_VERSION) {
        info.key_exchange = key_exchange(session);
        if (!info.resumed)
            read_signatures(session, info);
    }
    if (const X509* peer = SSL_get0_peer_certificate(session)) {
        const long verified = SSL_get_verify_result(session);
        info.trust = verified == X509_V_OK ? PeerTrust::Trusted : PeerTrust::Untrusted;
        if (verified != X509_V_OK)
            info.trust_fault = X509_verify_cert_error_string(verified);
        info.subject_name = name_in(X509_get_subject_name(peer));
        info.login_name = login_name_in(X509_get_subject_name(peer));
        info.issuer_name = name_in(X509_get_issuer_name(peer));
        info.certificate_fingerprint = certificate_fingerprint(peer, digest);
        info.key_fingerprint = key_fingerprint(peer, digest);
    }
    ERR_clear_error(); // of getters that had nothing to give
    return info;
}

} // namespace posthouse::tls
