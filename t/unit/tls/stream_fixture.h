// Two TLS streams that speak to each other through a pair of sockets.
#pragma once

#include "lib/event/byte_stream.h"
#include "lib/event/loop.h"
#include "lib/event/task_group.h"
#include "lib/tls/client_context.h"
#include "lib/tls/server_context.h"
#include "lib/tls/stream.h"
#include "t/support/catch.h"
#include "t/support/run_task.h"
#include "t/unit/tls/certificates.h"

#include <memory>
#include <string>
#include <sys/socket.h>
#include <vector>

namespace posthouse::test {

inline FileSet files_of(const std::vector<std::pair<std::string, std::string>>& files)
{
    FileSet set;
    for (const auto& [path, content] : files)
        set.add(FileSet::Entry(path, Secret(content), ""));
    return set;
}

inline tls::ServerSettings server_settings()
{
    tls::ServerSettings settings;
    settings.protocols = tls::Named("smtpd_tls_protocols", ">=TLSv1.2");
    settings.ciphers = tls::Named("smtpd_tls_ciphers", "medium");
    settings.chain_files.emplace_back("smtpd_tls_chain_files", "/chain");
    settings.session_scope = "test";
    settings.alpn = "smtp";
    return settings;
}

inline std::shared_ptr<const tls::ServerContext> server_context(const TestPair& pair, const tls::ServerSettings& settings,
                                                                tls::TicketKeys* keys = nullptr)
{
    std::vector<std::string> remarks;
    auto made = tls::ServerContext::create(settings, files_of({{"/chain", pair.pem()}}), keys, nullptr, remarks);
    if (!made)
        throw std::runtime_error(made.error().full_text());
    return std::move(*made);
}

inline std::shared_ptr<const tls::ClientContext> client_context(const std::string& authorities = "")
{
    tls::CommonSettings settings;
    settings.protocols = tls::Named("smtp_tls_protocols", ">=TLSv1.2");
    settings.ciphers = tls::Named("smtp_tls_ciphers", "medium");
    if (!authorities.empty())
        settings.ca_file = tls::Named("smtp_tls_CAfile", "/ca");
    std::vector<std::string> remarks;
    auto made = tls::ClientContext::create(settings, files_of({{"/ca", authorities}}), remarks);
    if (!made)
        throw std::runtime_error(made.error().full_text());
    return std::move(*made);
}

// The two ends, not yet in TLS.
struct SocketPair {
    explicit SocketPair(Loop& its_loop) : loop(its_loop)
    {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
            throw std::runtime_error("socketpair");
        server_socket = std::make_unique<Socket>(loop, UniqueFd(ends[0]));
        client_socket = std::make_unique<Socket>(loop, UniqueFd(ends[1]));
    }
    Loop& loop;
    std::unique_ptr<Socket> server_socket, client_socket;
};

inline Task<void> keep_result(tls::TlsStream& stream, std::optional<Result<void>>& into)
{
    const Deadline deadline = Deadline::after(Duration::seconds(5));
    into.emplace(co_await stream.handshake(deadline));
}

// Both ends after the handshake (or its failure).
struct Session : SocketPair {
    Session(Loop& its_loop, std::shared_ptr<const tls::ServerContext> of_server,
            std::shared_ptr<const tls::ClientContext> of_client, const tls::ClientWish& wish = tls::ClientWish())
        : SocketPair(its_loop)
    {
        server = std::move(*tls::TlsStream::server(std::move(of_server), *server_socket));
        client = std::move(*tls::TlsStream::client(std::move(of_client), *client_socket, wish));
        TaskGroup group(loop);
        group.spawn(keep_result(*server, server_done));
        group.spawn(keep_result(*client, client_done));
        const Instant limit = Instant::now() + Duration::seconds(6);
        while ((!server_done || !client_done) && Instant::now() < limit)
            loop.run_once(Duration::milliseconds(10));
    }
    bool good() const { return server_done && *server_done && client_done && *client_done; }

    std::unique_ptr<tls::TlsStream> server, client;
    std::optional<Result<void>> server_done, client_done;
};

} // namespace posthouse::test
