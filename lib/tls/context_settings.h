// What a context is made from, as plain values. A program fills them from its own parameters (smtpd_tls_*, smtp_tls_*).
#pragma once

#include "lib/tls/library_settings.h"

#include <cstdint>
#include <string>
#include <vector>

namespace posthouse::tls {

// What both sides are told.
struct CommonSettings {
    CommonSettings() = default;
    LibrarySettings library;
    Named protocols; // ">=TLSv1.2"
    Named ciphers;   // a grade
    Named exclude_ciphers; // for messages; the words are in `excluded`
    std::vector<std::string> excluded;
    std::vector<Named> chain_files;
    Named cert_file, key_file;
    Named eccert_file, eckey_file;
    Named ca_file;
    Named ca_path; // a directory
    int verify_depth = 9;
    Named fingerprint_digest;

    // All files that are to be in the FileSet.
    std::vector<std::string> files() const;
    bool has_certificate() const { return !chain_files.empty() || !cert_file.empty() || !eccert_file.empty(); }
};

struct ServerSettings : CommonSettings {
    ServerSettings() = default;
    bool ask_certificate = false;     // of clients, which may have none
    bool require_certificate = false; // the handshake fails without one
    Named dh_file;                    // "" or "auto": the library's parameters
    int64_t session_timeout = 3600;   // seconds; of tickets
    bool session_ids = true;          // also for sessions that cannot be gone on with
    std::string session_scope;        // a session of one scope is no good in another
    std::string alpn;                 // a client that offers protocols has to offer this one; "" for any

    std::vector<std::string> files() const;
};

} // namespace posthouse::tls
