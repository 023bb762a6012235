// ServerContext: what a server shows and demands in its handshakes. Made from settings and the contents of files, and
// never changed: when files are replaced a new one is made, sessions keep the one that they began with.
#pragma once

#include "lib/base/file_set.h"
#include "lib/base/result.h"
#include "lib/event/task.h"
#include "lib/tls/context_settings.h"
#include "lib/tls/sni_map.h"

#include <memory>
#include <string>
#include <vector>

struct ssl_ctx_st;
struct ssl_st;
struct evp_md_st;

namespace posthouse::tls {

class TicketKeys;

// What is taken from a client's first message. A stream gives its own to its session as application data.
struct ClientHello {
    std::string wanted_name; // when there are tables that may know it
    bool read = false;
};

class ServerContext {
public:
    // `keys` (null: no tickets) and `names` (null: one certificate for all) outlive the context and its sessions.
    // `remarks` gets what does not keep it from working, but should be known. An Error names parameter, file and reason.
    static Result<std::shared_ptr<const ServerContext>> create(const ServerSettings& settings, const FileSet& files,
                                                               TicketKeys* keys, const SniMap* names,
                                                               std::vector<std::string>& remarks);
    ~ServerContext();
    ServerContext(const ServerContext&) = delete;
    ServerContext& operator=(const ServerContext&) = delete;

    // For the streams of lib/tls alone.
    ssl_ctx_st* context() const { return context_; }
    const evp_md_st* digest() const { return digest_; }
    // Has the session show what there is for this name; false when there is nothing.
    Task<Result<bool>> show_certificate_for(std::string name, ssl_st* session) const;

private:
    ServerContext() = default;
    Result<void> set_up(const ServerSettings& settings, const FileSet& files, std::vector<std::string>& remarks);
    Result<void> use_tickets(const ServerSettings& settings);
    Result<void> use_dh_parameters(const ServerSettings& settings, const FileSet& files);

    ssl_ctx_st* context_ = nullptr; // owned
    const evp_md_st* digest_ = nullptr;
    TicketKeys* keys_ = nullptr;
    const SniMap* names_ = nullptr;
    SniMap::Loaded named_chains_;
    std::string ticket_cipher_;
    std::string alpn_;
    friend struct ServerCallbacks;
};

} // namespace posthouse::tls
