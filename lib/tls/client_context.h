// ClientContext: what a client shows and wants to see in its handshakes, and how what it saw is judged. One context serves
// all levels: what is wanted of a session is said when that begins.
#pragma once

#include "lib/base/file_set.h"
#include "lib/base/result.h"
#include "lib/tls/context_settings.h"
#include "lib/tls/session_info.h"

#include <memory>
#include <string>
#include <vector>

struct ssl_ctx_st;
struct ssl_st;
struct evp_md_st;

namespace posthouse::tls {

// smtp_tls_security_level. DANE and fingerprints are still to come.
enum class ClientLevel : unsigned char {
    None,    // plain text
    May,     // TLS when the server has it, whoever it is
    Encrypt, // TLS or nothing, whoever the server is
    Verify,  // an authority vouches for the server's certificate, and it is for one of `names`
    Secure,  // the same, with names that do not come from DNS
};
// Nothing for an unknown word.
bool parse_client_level(std::string_view word, ClientLevel& into);

struct ClientWish {
    ClientWish() = default;
    ClientLevel level = ClientLevel::May;
    std::string server_name;        // to ask for; "" for none
    std::vector<std::string> names; // "mx.example.com", or ".example.com" for any name below
};

class ClientContext {
public:
    static Result<std::shared_ptr<const ClientContext>> create(const CommonSettings& settings, const FileSet& files,
                                                               std::vector<std::string>& remarks);
    ~ClientContext();
    ClientContext(const ClientContext&) = delete;
    ClientContext& operator=(const ClientContext&) = delete;

    // For the streams of lib/tls alone. The session is the caller's.
    Result<ssl_st*> begin(const ClientWish& wish) const;
    const evp_md_st* digest() const { return digest_; }
    // Sets info.trust: Verified only when the certificate is for one of the wish's names.
    void judge(ssl_st* session, SessionInfo& info) const;

private:
    ClientContext() = default;
    ssl_ctx_st* context_ = nullptr; // owned
    const evp_md_st* digest_ = nullptr;
};

// Whether a session is good enough for a level; if not, an Error (4.7.5) that says why.
Result<void> satisfies(ClientLevel level, const SessionInfo& info);

} // namespace posthouse::tls
