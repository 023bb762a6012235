// Certificates and settings for the sessions: see tls_service.h.
#include "smtpd/tls_service.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/log/log.h"
#include "lib/service/file_courier.h"
#include "lib/tls/server_context.h"

#include <algorithm>
#include <iterator>
#include <unistd.h>

namespace posthouse::smtpd {

namespace {

constexpr const char* sni_parameter = "tls_server_sni_maps";

TlsLevel level_of(const config::Config& config)
{
    const std::string& word = config.text("smtpd_tls_security_level");
    if (ascii::equal(word, "encrypt"))
        return TlsLevel::Encrypt;
    if (ascii::equal(word, "may"))
        return TlsLevel::May;
    if (!word.empty())
        return TlsLevel::None;
    if (config.boolean("smtpd_enforce_tls")) // the old parameters count when the new one says nothing
        return TlsLevel::Encrypt;
    return config.boolean("smtpd_use_tls") ? TlsLevel::May : TlsLevel::None;
}

int log_level_of(const std::string& text)
{
    struct Word {
        std::string_view word;
        int level;
    };
    constexpr Word words[] = {{"none", 0}, {"routine", 1}, {"debug", 2}, {"ssl-expert", 3}, {"ssl-developer", 4}};
    const auto* found =
        std::find_if(std::begin(words), std::end(words), [&](const Word& row) { return ascii::equal(row.word, text); });
    if (found != std::end(words))
        return found->level;
    const auto number = ascii::parse_unsigned(text);
    if (!number)
        log::warning("smtpd_tls_loglevel = ", text, ": neither a number nor one of none, routine, debug; 0 is used");
    return number ? static_cast<int>(std::min(*number, 4ull)) : 0;
}

tls::Named named(const config::Config& config, const char* parameter)
{
    return tls::Named(parameter, config.text(parameter));
}

void choose_ciphers(const config::Config& config, bool mandatory, tls::ServerSettings& into)
{
    into.protocols = named(config, mandatory ? "smtpd_tls_mandatory_protocols" : "smtpd_tls_protocols");
    into.ciphers = named(config, mandatory ? "smtpd_tls_mandatory_ciphers" : "smtpd_tls_ciphers");
    into.exclude_ciphers = named(config, "smtpd_tls_exclude_ciphers");
    into.excluded = config.list("smtpd_tls_exclude_ciphers");
    if (mandatory)
        for (std::string& word : config.list("smtpd_tls_mandatory_exclude_ciphers"))
            into.excluded.push_back(std::move(word));
}

void choose_files(const config::Config& config, tls::ServerSettings& into)
{
    for (const std::string& file : config.list("smtpd_tls_chain_files"))
        into.chain_files.emplace_back("smtpd_tls_chain_files", file);
    into.cert_file = named(config, "smtpd_tls_cert_file");
    into.key_file = named(config, "smtpd_tls_key_file");
    into.eccert_file = named(config, "smtpd_tls_eccert_file");
    into.eckey_file = named(config, "smtpd_tls_eckey_file");
    into.dh_file = named(config, "smtpd_tls_dh1024_param_file");
    into.ca_file = named(config, "smtpd_tls_CAfile");
    into.ca_path = named(config, "smtpd_tls_CApath");
}

// Where the chain of secrets for tickets is kept: one file for each service.
std::string ticket_file(const config::Config& config, const std::string& service_name)
{
    std::string name = service_name;
    std::replace_if(name.begin(), name.end(), [](char c) { return !ascii::is_alnum(c) && c != '-' && c != '.'; }, '_');
    return cat(config.text("data_directory"), "/tls_tickets_", name);
}

} // namespace

TlsSettings::TlsSettings(const config::Config& config, const std::string& scope)
    : level(level_of(config)),
      wrapper(config.boolean("smtpd_tls_wrappermode")),
      received_header(config.boolean("smtpd_tls_received_header")),
      tell_certificate_state(false),
      log_level(log_level_of(config.text("smtpd_tls_loglevel"))),
      handshake_timeout(config.duration("smtpd_starttls_timeout"))
{
    const bool mandatory = wrapper || level == TlsLevel::Encrypt;
    server.library = tls::LibrarySettings(config);
    choose_ciphers(config, mandatory, server);
    choose_files(config, server);
    server.verify_depth = static_cast<int>(config.number("smtpd_tls_ccert_verifydepth"));
    server.fingerprint_digest = named(config, "smtpd_tls_fingerprint_digest");
    server.ask_certificate = config.boolean("smtpd_tls_ask_ccert");
    // A client that may go on without TLS may go on without a certificate.
    server.require_certificate = mandatory && config.boolean("smtpd_tls_req_ccert");
    server.session_timeout = config.duration("smtpd_tls_session_cache_timeout").whole_seconds();
    server.session_ids = config.boolean("smtpd_tls_always_issue_session_ids");
    // Who had no certificate when none was asked for does not go on without one.
    server.session_scope = cat(server.require_certificate ? 'r' : server.ask_certificate ? 'a' : '-', ' ', scope);
    server.alpn = "smtp";
    tell_certificate_state = server.ask_certificate || server.require_certificate;
    if (tell_certificate_state)
        server.excluded.emplace_back("aNULL"); // without a certificate of ours none can be asked for
}

TlsService::TlsService(const config::Config& config, const std::string& service_name) : settings_(config, service_name) {}

TlsService::~TlsService() = default;

bool TlsService::wanted(const config::Config& config)
{
    return config.boolean("smtpd_tls_wrappermode") || level_of(config) != TlsLevel::None;
}

Result<void> TlsService::open_names(const config::Config& config, const table::Context& context)
{
    auto names = tls::SniMap::open(sni_parameter, config.text(sni_parameter), context);
    if (!names)
        return std::move(names.error());
    names_ = std::move(*names);
    return Result<void>();
}

Result<std::unique_ptr<TlsService>> TlsService::open(const config::Config& config, const std::string& service_name,
                                                     const table::Context& context)
{
    std::unique_ptr<TlsService> made(new TlsService(config, service_name));
    RETURN_IF_ERROR(made->open_names(config, context));
    const int64_t now = wall_clock_us() / 1000000;
    auto keys = tls::TicketKeys::open(ticket_file(config, service_name), made->settings_.server.session_timeout, now);
    if (!keys)
        log::warning("TLS session tickets are good at this process alone: ", keys.error().full_text());
    made->keys_ = keys ? std::move(*keys) : tls::TicketKeys::unshared(made->settings_.server.session_timeout, now);
    made->signature_ = FileSet::signature(made->files());
    auto loaded = made->load(FileSet::read(made->files()));
    if (loaded)
        made->context_ = std::move(*loaded);
    else
        log::error(loaded.error().full_text(), ": there is no TLS until this is mended");
    return made;
}

std::vector<Error> TlsService::faults(const config::Config& config, const table::Context& context)
{
    std::vector<Error> found;
    if (!wanted(config))
        return found;
    TlsService service(config, "check");
    if (auto opened = service.open_names(config, context); !opened)
        return {std::move(opened.error())};
    const FileSet files = FileSet::read(service.files());
    std::vector<std::string> remarks;
    auto loaded = tls::ServerContext::create(service.settings_.server, files, nullptr, nullptr, remarks);
    if (!loaded)
        found.push_back(std::move(loaded.error()));
    service.names_->load(files, found);
    return found;
}

std::vector<std::string> TlsService::files() const
{
    std::vector<std::string> all = settings_.server.files();
    for (std::string& file : names_->files())
        all.push_back(std::move(file));
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

Result<std::shared_ptr<const tls::ServerContext>> TlsService::load(const FileSet& files) const
{
    std::vector<std::string> remarks;
    auto made = tls::ServerContext::create(settings_.server, files, keys_.get(), names_.get(), remarks);
    for (const std::string& remark : remarks)
        log::warning(remark);
    return made;
}

void TlsService::take(const FileSet& files)
{
    auto loaded = load(files);
    if (!loaded) {
        log::error(loaded.error().full_text(), context_ ? ": the certificates from before stay in use"
                                                        : ": there is no TLS until this is mended");
        return;
    }
    context_ = std::move(*loaded);
    log::info("TLS certificates read again");
}

void TlsService::start_courier()
{
    const std::vector<std::string> all = files();
    if (all.empty())
        return;
    auto courier = service::FileCourier::start(all, signature_);
    if (courier)
        courier_ = std::move(*courier);
    else
        log::warning("TLS certificates will not be read again by this process: ", courier.error().full_text());
}

Task<void> TlsService::follow_files(Loop& loop)
{
    if (!courier_)
        co_return;
    std::function<void(const FileSet&)> arrived = [this](const FileSet& files) { take(files); };
    const Error ended = co_await service::FileCourier::receive(loop, std::move(courier_), std::move(arrived));
    log::warning("TLS certificates will not be read again by this process: ", ended.full_text());
}

} // namespace posthouse::smtpd
