// The one header that includes OpenSSL: owners for its objects, and its error queue as text. For lib/tls alone; none of
// its types leaves this folder.
#pragma once

#include "lib/base/result.h"

#include <memory>
#include <string>
#include <string_view>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace posthouse::tls {

template <auto free_function>
struct FreedBy {
    template <class T>
    void operator()(T* object) const
    {
        free_function(object);
    }
};
inline void free_certificates(STACK_OF(X509)* stack) { sk_X509_pop_free(stack, X509_free); }
inline void free_openssl_bytes(void* bytes) { OPENSSL_free(bytes); }

using SslPtr = std::unique_ptr<SSL, FreedBy<SSL_free>>;
using SslContextPtr = std::unique_ptr<SSL_CTX, FreedBy<SSL_CTX_free>>;
using CertificatePtr = std::unique_ptr<X509, FreedBy<X509_free>>;
using CertificateStack = std::unique_ptr<STACK_OF(X509), FreedBy<free_certificates>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreedBy<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, FreedBy<BIO_free>>;
using BytesPtr = std::unique_ptr<unsigned char, FreedBy<free_openssl_bytes>>;

// Reads memory that outlives the BIO.
inline BioPtr bio_of(std::string_view bytes) { return BioPtr(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size()))); }

// What the library says of the failure just now, the first cause first: "no start line; PEM lib". Empties its queue.
std::string take_reasons();
// The same as the log has it, one for each entry: "error:0A00010B:SSL routines::wrong version number:FILE:LINE:".
std::string take_library_lines();

// "what: reasons", emptying the queue.
Error library_error(std::string_view what, ErrorKind kind = ErrorKind::Config);

} // namespace posthouse::tls
