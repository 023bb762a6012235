// SessionInfo: what was agreed in a handshake and who the peer has shown to be, as plain values, and the words for it
// that stand in the log and in Received: headers.
#pragma once

#include <string>
#include <string_view>

namespace posthouse::tls {

enum class PeerTrust : unsigned char {
    Anonymous, // no certificate
    Untrusted, // one that no known authority vouches for
    Trusted,   // an authority vouches for it
    Verified,  // and it is for the name that was wanted (client side)
};
std::string_view to_word(PeerTrust trust); // "Anonymous"

struct SessionInfo {
    std::string protocol; // "TLSv1.3"
    std::string cipher;   // "TLS_AES_256_GCM_SHA384"
    int bits_used = 0;
    int bits = 0;
    // TLS 1.3, where the cipher's name does not say it: "X25519", "ECDHE (P-256)"; "RSA-PSS (2048 bits)", "SHA256".
    std::string key_exchange;
    std::string own_signature, own_digest;
    std::string peer_signature, peer_digest;

    bool resumed = false;
    std::string server_name; // that the client asked for and that was known here; else ""

    PeerTrust trust = PeerTrust::Anonymous;
    std::string trust_fault;   // of an untrusted one, in the library's words
    std::string subject_name;  // common names, with nothing but printable ASCII in them
    std::string login_name;    // the subject's only common name, if it needed no change; else ""
    std::string issuer_name;
    std::string certificate_fingerprint; // "A0:B1:..." by the digest of the context
    std::string key_fingerprint;

    bool has_peer_certificate() const { return trust != PeerTrust::Anonymous; }
    // "TLSv1.3 with cipher X (256/256 bits)" and, `separator` before each, key exchange and signatures. `is_server`
    // says whose signatures are which.
    std::string summary(bool is_server, std::string_view separator) const;
};

} // namespace posthouse::tls
