// Protocols, ciphers, certificates and authorities of a context: see context_parts.h.
#include "lib/tls/context_parts.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>

namespace posthouse::tls {

namespace {

struct Option {
    std::string_view name;
    uint64_t bit;
};
// tls_ssl_options by name; others by their number, 0x...
constexpr Option options[] = {
    {"ENABLE_KTLS", SSL_OP_ENABLE_KTLS},
    {"LEGACY_SERVER_CONNECT", SSL_OP_LEGACY_SERVER_CONNECT},
    {"NO_COMPRESSION", SSL_OP_NO_COMPRESSION},
    {"NO_ENCRYPT_THEN_MAC", SSL_OP_NO_ENCRYPT_THEN_MAC},
    {"NO_RENEGOTIATION", SSL_OP_NO_RENEGOTIATION},
    {"NO_SESSION_RESUMPTION_ON_RENEGOTIATION", SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION},
    {"NO_TICKET", SSL_OP_NO_TICKET},
    {"PRIORITIZE_CHACHA", SSL_OP_PRIORITIZE_CHACHA},
    {"TLSEXT_PADDING", SSL_OP_TLSEXT_PADDING},
};

std::optional<uint64_t> option_bits(std::string_view word)
{
    const auto* found =
        std::find_if(std::begin(options), std::end(options), [&](const Option& o) { return ascii::equal(o.name, word); });
    if (found != std::end(options))
        return found->bit;
    uint64_t bits = 0;
    if (!ascii::starts_with(word, "0x"))
        return std::nullopt;
    const auto [end, fault] = std::from_chars(word.data() + 2, word.data() + word.size(), bits, 16);
    return fault == std::errc() && end == word.data() + word.size() ? std::optional(bits) : std::nullopt;
}

Result<void> use_protocols(SSL_CTX* context, const Named& list)
{
    auto protocols = Protocols::parse(list.value);
    if (!protocols)
        return std::move(protocols.error()).within(list.parameter);
    SSL_CTX_set_min_proto_version(context, protocols->lowest());
    SSL_CTX_set_max_proto_version(context, protocols->highest());
    constexpr Option holes[] = {{"", SSL_OP_NO_TLSv1}, {"", SSL_OP_NO_TLSv1_1}, {"", SSL_OP_NO_TLSv1_2}, {"", SSL_OP_NO_TLSv1_3}};
    for (int at = 0; at < static_cast<int>(std::size(holes)); ++at)
        if (!protocols->allows(TLS1_VERSION + at))
            SSL_CTX_set_options(context, holes[at].bit);
    return Result<void>();
}

Result<void> use_ciphers(SSL_CTX* context, const CommonSettings& settings)
{
    auto list = cipher_list(settings.ciphers.value, settings.library.grades, settings.excluded);
    if (!list)
        return std::move(list.error()).within(settings.ciphers.parameter);
    ERR_clear_error();
    if (SSL_CTX_set_cipher_list(context, list->c_str()) != 1)
        return library_error(cat(settings.ciphers.text(), " without ", settings.exclude_ciphers.text(),
                                 ": no cipher is left of \"", *list, '"'));
    return Result<void>();
}

// Names that this library does not know are left out, as the lists are written for several.
void use_groups(SSL_CTX* context, const LibrarySettings& library)
{
    std::string known;
    for (const auto* names : {&library.curves, &library.groups})
        for (const std::string& name : *names)
            if (SSL_CTX_set1_groups_list(context, name.c_str()) == 1)
                append_to(known, known.empty() ? "" : ":", name);
    SSL_CTX_set1_groups_list(context, known.empty() ? "X25519:P-256" : known.c_str());
    ERR_clear_error();
}

Result<PemText> text_of(const Named& file, const FileSet& files)
{
    auto content = files.content(file.value);
    if (!content)
        return std::move(content.error()).within(file.parameter);
    return PemText{file.text(), *content};
}

Result<Chain> pair_of(const Named& cert_file, const Named& key_file, const FileSet& files)
{
    auto certificates = text_of(cert_file, files);
    if (!certificates)
        return std::move(certificates.error());
    auto key = text_of(key_file.empty() ? cert_file : key_file, files);
    if (!key)
        return std::move(key.error());
    return Chain::pair(*certificates, *key);
}

Result<std::vector<Chain>> chains_of(const CommonSettings& settings, const FileSet& files)
{
    if (!settings.chain_files.empty()) { // then the others do not count
        std::vector<PemText> texts;
        for (const Named& file : settings.chain_files) {
            auto text = text_of(file, files);
            if (!text)
                return std::move(text.error());
            texts.push_back(std::move(*text));
        }
        return Chain::parse(texts);
    }
    std::vector<Chain> chains;
    for (const auto& [cert, key] : {std::pair(&settings.cert_file, &settings.key_file),
                                    std::pair(&settings.eccert_file, &settings.eckey_file)}) {
        if (cert->empty())
            continue;
        auto chain = pair_of(*cert, *key, files);
        if (!chain)
            return std::move(chain.error());
        chains.push_back(std::move(*chain));
    }
    return chains;
}

} // namespace

std::vector<std::string> CommonSettings::files() const
{
    std::vector<std::string> all;
    for (const Named& file : chain_files)
        all.push_back(file.value);
    for (const Named* file : {&cert_file, &key_file, &eccert_file, &eckey_file, &ca_file, &ca_path})
        if (!file->empty())
            all.push_back(file->value);
    return all;
}

std::vector<std::string> ServerSettings::files() const
{
    std::vector<std::string> all = CommonSettings::files();
    if (!dh_file.empty() && dh_file.value != "auto")
        all.push_back(dh_file.value);
    return all;
}

Result<SslContextPtr> make_context(const SSL_METHOD* method, const CommonSettings& settings)
{
    ERR_clear_error();
    SslContextPtr context(SSL_CTX_new(method));
    if (!context)
        return library_error("cannot make a TLS context", ErrorKind::Temporary);
    // What is allowed is said by protocols and ciphers alone, as administrators know it.
    SSL_CTX_set_security_level(context.get(), 0);
    // An idle session keeps no buffer; a write that waited goes on from wherever its bytes are then.
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE
                                        | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context.get(), 1);
    // The end of a connection is seen by the stream itself, and does not keep a last reply from being sent.
    SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    RETURN_IF_ERROR(use_protocols(context.get(), settings.protocols));
    RETURN_IF_ERROR(use_ciphers(context.get(), settings));
    use_groups(context.get(), settings.library);
    for (const std::string& word : settings.library.options) {
        const auto bits = option_bits(word);
        if (!bits)
            return Error(ErrorKind::Config, cat("tls_ssl_options: unknown option \"", word, '"'));
        SSL_CTX_set_options(context.get(), *bits);
    }
    return context;
}

Result<void> use_certificates(SSL_CTX* context, const CommonSettings& settings, const FileSet& files,
                              std::vector<std::string>& warnings)
{
    auto chains = chains_of(settings, files);
    if (!chains)
        return std::move(chains.error());
    for (const Chain& chain : *chains) {
        RETURN_IF_ERROR(chain.put_into(context));
        if (std::string warning = chain.warning(); !warning.empty())
            warnings.push_back(std::move(warning));
    }
    return Result<void>();
}

Result<void> use_authorities(SSL_CTX* context, const CommonSettings& settings, const FileSet& files, bool is_server)
{
    SSL_CTX_set_verify_depth(context, settings.verify_depth);
    for (const Named* file : {&settings.ca_file, &settings.ca_path}) {
        if (file->empty())
            continue;
        auto text = text_of(*file, files);
        if (!text)
            return std::move(text.error());
        auto found = parse_certificates(*text);
        if (!found && found.error().kind() == ErrorKind::NotFound && file == &settings.ca_path)
            continue; // a folder that is still empty
        if (!found)
            return std::move(found.error());
        for (const CertificatePtr& certificate : *found) {
            X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.get());
            if (is_server && file == &settings.ca_file)
                SSL_CTX_add_client_CA(context, certificate.get());
        }
    }
    ERR_clear_error();
    return Result<void>();
}

Result<const EVP_MD*> find_digest(const Named& name)
{
    const EVP_MD* digest = EVP_get_digestbyname(name.empty() ? "sha256" : name.value.c_str());
    if (!digest)
        return Error(ErrorKind::Config, cat(name.text(), ": unknown digest"));
    return digest;
}

} // namespace posthouse::tls
