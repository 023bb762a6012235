// TlsService: all of TLS that the sessions of one smtpd process share: what the parameters say, the certificates as they
// are on disk now, the keys of tickets.
//
// Opened before privileges drop. From then on a process of its own (service::FileCourier) brings the files' contents when
// they were replaced; what cannot be used is logged, and the certificates from before stay in use.
#pragma once

#include "lib/base/file_set.h"
#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/base/unique_fd.h"
#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/table/table.h"
#include "lib/tls/context_settings.h"
#include "lib/tls/sni_map.h"
#include "lib/tls/ticket_keys.h"

#include <memory>
#include <string>
#include <vector>

namespace posthouse::config {
class Config;
}
namespace posthouse::tls {
class ServerContext;
}

namespace posthouse::smtpd {

enum class TlsLevel : unsigned char { None, May, Encrypt };

// smtpd_tls_* as plain values.
struct TlsSettings {
    // `scope`: the service, whose sessions are no good at another.
    TlsSettings(const config::Config& config, const std::string& scope);

    TlsLevel level;
    bool wrapper;  // the connection begins with TLS
    bool received_header;
    bool tell_certificate_state; // in that header: certificates are asked for
    int log_level; // 0 to 4
    Duration handshake_timeout;
    tls::ServerSettings server;
};

class TlsService {
public:
    // Whether the parameters ask for TLS at all.
    static bool wanted(const config::Config& config);
    // What is wrong with certificates is no Error: it is logged, and there is no TLS until it is mended.
    static Result<std::unique_ptr<TlsService>> open(const config::Config& config, const std::string& service_name,
                                                    const table::Context& context);
    // All that is wrong, for `posthouse check`.
    static std::vector<Error> faults(const config::Config& config, const table::Context& context);
    ~TlsService();

    const TlsSettings& settings() const { return settings_; }
    // For a session that begins now. Null: there is no certificate to be used.
    std::shared_ptr<const tls::ServerContext> context() const { return context_; }
    bool stale() const { return names_->stale(); } // a table was replaced

    // Before the privileges drop: has somebody look after the files. If that cannot be, it is logged.
    void start_courier();
    // A background task of the process: takes what the courier brings.
    Task<void> follow_files(Loop& loop);

private:
    TlsService(const config::Config& config, const std::string& service_name);
    Result<void> open_names(const config::Config& config, const table::Context& context);
    std::vector<std::string> files() const;
    Result<std::shared_ptr<const tls::ServerContext>> load(const FileSet& files) const;
    void take(const FileSet& files);

    TlsSettings settings_;
    std::unique_ptr<tls::SniMap> names_;
    std::unique_ptr<tls::TicketKeys> keys_;
    std::shared_ptr<const tls::ServerContext> context_; // owners: this, and the sessions that began with it
    FileSet::Signature signature_;
    UniqueFd courier_;
};

} // namespace posthouse::smtpd
