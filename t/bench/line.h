// Line: one end of an SMTP connection of the benchmark: lines, replies and content over a plain or a TLS stream, as few
// system calls as both sides allow. 0, false or nothing: the connection is of no use any more.
#pragma once

#include "lib/base/time.h"
#include "lib/base/unique_fd.h"
#include "lib/event/byte_stream.h"
#include "lib/event/task.h"
#include "lib/tls/client_context.h"
#include "lib/tls/stream.h"

#include <cstdint>
#include <memory>
#include <netinet/in.h>
#include <optional>
#include <string>

namespace posthouse::bench {

inline const Duration patience = Duration::seconds(60);

class Line {
public:
    Line(Loop& loop, UniqueFd fd) : socket_(loop, std::move(fd)), stream_(&socket_) {}
    Socket& socket() { return socket_; }

    Task<bool> start_tls(std::shared_ptr<const tls::ClientContext> context);
    Task<bool> write(std::string text);
    Task<std::optional<std::string>> read(); // without the line end
    Task<int> reply();                       // the code of its last line
    Task<int> ask(std::string text);         // the code of the reply to what is sent
    Task<long> content();                    // of a message, up to the final dot: its size, or -1
    // The next `size` bytes.
    Task<std::optional<std::string>> bytes(size_t size);

private:
    Task<bool> more();

    Socket socket_;
    std::unique_ptr<tls::TlsStream> tls_;
    ByteStream* stream_;
    std::string buffer_;
    size_t start_ = 0;
    size_t scanned_ = 0;
};

sockaddr_in loopback(uint16_t port);
// Connected, and nothing said yet; null when that failed.
Task<std::unique_ptr<Line>> connect(Loop& loop, uint16_t port);
// A listening socket, or nothing, with a word to standard error.
UniqueFd listen_on(uint16_t port);

} // namespace posthouse::bench
