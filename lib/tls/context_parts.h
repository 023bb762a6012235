// What a context of a server and one of a client are made of alike; for lib/tls alone.
#pragma once

#include "lib/base/file_set.h"
#include "lib/tls/chain.h"
#include "lib/tls/context_settings.h"
#include "lib/tls/openssl.h"
#include "lib/tls/protocols.h"

#include <vector>

namespace posthouse::tls {

Result<SslContextPtr> make_context(const SSL_METHOD* method, const CommonSettings& settings);
// The warnings about the certificates go to `warnings`.
Result<void> use_certificates(SSL_CTX* context, const CommonSettings& settings, const FileSet& files,
                              std::vector<std::string>& warnings);
// The authorities to check the peer's certificate by. Those of CAfile are also named to clients.
Result<void> use_authorities(SSL_CTX* context, const CommonSettings& settings, const FileSet& files, bool is_server);
Result<const EVP_MD*> find_digest(const Named& name);

} // namespace posthouse::tls
