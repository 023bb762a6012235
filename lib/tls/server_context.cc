// The server's side of handshakes: see server_context.h.
#include "lib/tls/server_context.h"

#include "lib/base/cat.h"
#include "lib/base/random.h"
#include "lib/base/time.h"
#include "lib/tls/context_parts.h"
#include "lib/tls/server_name.h"
#include "lib/tls/ticket_keys.h"

#include <cstring>
#include <utility>

namespace posthouse::tls {

namespace {

int64_t now_seconds() { return wall_clock_us() / 1000000; }

const ServerContext& context_of(SSL* session)
{
    return *static_cast<const ServerContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(session)));
}

// An untrusted certificate is no reason to end the handshake: what it is worth is decided later.
int take_any_certificate(int, X509_STORE_CTX*) { return 1; }

} // namespace

// What OpenSSL calls.
struct ServerCallbacks {
    // The library's own protocol for tickets: name, iv, ciphertext, MAC. 1: good; 2: good, but give a new one; 0: unknown.
    static int ticket(SSL* session, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
                      int make)
    {
        const ServerContext& context = context_of(session);
        const EVP_CIPHER* kind = EVP_get_cipherbyname(context.ticket_cipher_.c_str());
        TicketKeys::Age age = TicketKeys::Age::Current;
        const TicketKeys::Key* key = &context.keys_->current(now_seconds());
        if (make) {
            std::memcpy(name, key->name.data(), key->name.size());
            random_bytes(iv, static_cast<size_t>(EVP_CIPHER_get_iv_length(kind)));
        } else {
            key = context.keys_->find(name, now_seconds(), age);
            if (!key)
                return 0;
        }
        if (EVP_CipherInit_ex(cipher, kind, nullptr, key->cipher.data(), iv, make) != 1)
            return -1;
        char digest[] = "SHA256";
        OSSL_PARAM parameters[] = {
            OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, const_cast<unsigned char*>(key->mac.data()), key->mac.size()),
            OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
            OSSL_PARAM_construct_end(),
        };
        if (EVP_MAC_CTX_set_params(mac, parameters) != 1)
            return -1;
        return age == TicketKeys::Age::Previous ? 2 : 1;
    }

    // The tables that know names may take their time: the handshake is interrupted once, and goes on when the
    // certificate is chosen.
    static int client_hello(SSL* session, int*, void*)
    {
        ClientHello& hello = *static_cast<ClientHello*>(SSL_get_app_data(session));
        const unsigned char* bytes = nullptr;
        size_t size = 0;
        if (std::exchange(hello.read, true)
            || SSL_client_hello_get0_ext(session, TLSEXT_TYPE_server_name, &bytes, &size) != 1)
            return SSL_CLIENT_HELLO_SUCCESS;
        auto name = parse_server_name(std::string_view(reinterpret_cast<const char*>(bytes), size));
        if (!name)
            return SSL_CLIENT_HELLO_SUCCESS;
        hello.wanted_name = std::move(*name);
        return SSL_CLIENT_HELLO_RETRY;
    }

    // A browser that was led here by a page offers "http/1.1": the handshake ends before it has sent a request that a
    // mail server might take for commands.
    static int alpn(SSL* session, const unsigned char** chosen, unsigned char* chosen_size, const unsigned char* offered,
                    unsigned size, void*)
    {
        const std::string& wanted = context_of(session).alpn_;
        for (unsigned at = 0; at + 1 <= size; at += 1u + offered[at]) {
            if (offered[at] != wanted.size() || std::memcmp(offered + at + 1, wanted.data(), wanted.size()) != 0)
                continue;
            *chosen = offered + at + 1;
            *chosen_size = offered[at];
            return SSL_TLSEXT_ERR_OK;
        }
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
};

ServerContext::~ServerContext() { SSL_CTX_free(context_); }

Result<std::shared_ptr<const ServerContext>> ServerContext::create(const ServerSettings& settings, const FileSet& files,
                                                                   TicketKeys* keys, const SniMap* names,
                                                                   std::vector<std::string>& remarks)
{
    std::shared_ptr<ServerContext> made(new ServerContext);
    made->keys_ = keys;
    if (names && !names->empty())
        made->names_ = names;
    RETURN_IF_ERROR(made->set_up(settings, files, remarks));
    return std::shared_ptr<const ServerContext>(std::move(made));
}

Result<void> ServerContext::set_up(const ServerSettings& settings, const FileSet& files, std::vector<std::string>& remarks)
{
    auto context = make_context(TLS_server_method(), settings);
    if (!context)
        return std::move(context.error());
    context_ = context->release();
    SSL_CTX_set_app_data(context_, this);
    if (!settings.has_certificate())
        return Error(ErrorKind::Config, "no certificate: smtpd_tls_chain_files or smtpd_tls_cert_file has to name one");
    RETURN_IF_ERROR(use_certificates(context_, settings, files, remarks));
    RETURN_IF_ERROR(use_authorities(context_, settings, files, true));
    RETURN_IF_ERROR(use_dh_parameters(settings, files));
    RETURN_IF_ERROR(use_tickets(settings));
    auto digest = find_digest(settings.fingerprint_digest);
    if (!digest)
        return std::move(digest.error());
    digest_ = *digest;
    if (settings.library.server_preference)
        SSL_CTX_set_options(context_, SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (settings.ask_certificate || settings.require_certificate)
        SSL_CTX_set_verify(context_,
                           SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE
                               | (settings.require_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                           take_any_certificate);
    alpn_ = settings.alpn;
    if (!alpn_.empty())
        SSL_CTX_set_alpn_select_cb(context_, ServerCallbacks::alpn, nullptr);
    if (names_) {
        SSL_CTX_set_client_hello_cb(context_, ServerCallbacks::client_hello, nullptr);
        std::vector<Error> faults;
        named_chains_ = names_->load(files, faults);
        for (const Error& fault : faults)
            remarks.push_back(fault.full_text());
    }
    return Result<void>();
}

// Nothing is kept here for clients that come again: the session is in their ticket.
Result<void> ServerContext::use_tickets(const ServerSettings& settings)
{
    SSL_CTX_set_session_cache_mode(context_, settings.session_ids ? SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL
                                                                  : SSL_SESS_CACHE_OFF);
    const std::string scope = settings.session_scope.substr(0, SSL_MAX_SSL_SESSION_ID_LENGTH);
    SSL_CTX_set_session_id_context(context_, reinterpret_cast<const unsigned char*>(scope.data()),
                                   static_cast<unsigned>(scope.size()));
    SSL_CTX_set_timeout(context_, settings.session_timeout);
    ticket_cipher_ = settings.library.ticket_cipher;
    if (!keys_ || ticket_cipher_.empty()) {
        SSL_CTX_set_options(context_, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(context_, 0);
        return Result<void>();
    }
    const EVP_CIPHER* cipher = EVP_get_cipherbyname(ticket_cipher_.c_str());
    if (!cipher || EVP_CIPHER_get_mode(cipher) != EVP_CIPH_CBC_MODE
        || static_cast<size_t>(EVP_CIPHER_get_key_length(cipher)) > TicketKeys::secret_size)
        return Error(ErrorKind::Config, cat("tls_session_ticket_cipher = ", ticket_cipher_, ": not a cipher for tickets"));
    SSL_CTX_set_num_tickets(context_, 1); // one connection at a time comes back
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context_, ServerCallbacks::ticket);
    return Result<void>();
}

Result<void> ServerContext::use_dh_parameters(const ServerSettings& settings, const FileSet& files)
{
    if (settings.dh_file.empty() || settings.dh_file.value == "auto") {
        SSL_CTX_set_dh_auto(context_, 1);
        return Result<void>();
    }
    auto text = files.content(settings.dh_file.value);
    if (!text)
        return std::move(text.error()).within(settings.dh_file.parameter);
    const BioPtr bio = bio_of(*text);
    KeyPtr parameters(PEM_read_bio_Parameters(bio.get(), nullptr));
    if (!parameters || SSL_CTX_set0_tmp_dh_pkey(context_, parameters.get()) != 1)
        return library_error(settings.dh_file.text());
    (void)parameters.release(); // the context's now
    return Result<void>();
}

Task<Result<bool>> ServerContext::show_certificate_for(std::string name, ssl_st* session) const
{
    Result<Chains> chains = co_await names_->find(named_chains_, name);
    if (!chains)
        co_return std::move(chains.error());
    if (!*chains)
        co_return false;
    SSL_certs_clear(session); // what it would have shown to others
    for (const Chain& chain : **chains) {
        auto shown = chain.put_into(session);
        if (!shown)
            co_return std::move(shown.error());
    }
    co_return true;
}

} // namespace posthouse::tls
