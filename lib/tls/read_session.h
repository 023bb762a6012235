// From OpenSSL's session to plain values; for lib/tls alone.
#pragma once

#include "lib/tls/openssl.h"
#include "lib/tls/session_info.h"

namespace posthouse::tls {

// After a handshake. `digest` makes the fingerprints.
SessionInfo read_session(SSL* session, const EVP_MD* digest);

} // namespace posthouse::tls
