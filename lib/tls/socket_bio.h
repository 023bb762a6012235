// The bytes beneath a TLS session: a BIO over a non-blocking socket that it does not own; for lib/tls alone. OpenSSL's own
// tells neither the end of the connection from an error, nor keeps a write to a closed one from raising SIGPIPE.
#pragma once

#include "lib/tls/openssl.h"

namespace posthouse::tls {

struct SocketState {
    int fd = -1;
    bool ended = false; // the peer has closed its side
    int error = 0;      // errno of what failed
};

// `state` outlives the BIO. Null when memory is short.
BIO* new_socket_bio(SocketState& state);

} // namespace posthouse::tls
