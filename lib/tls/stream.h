// TlsStream: TLS over a socket, with the interface of the plain stream. Every wait has the caller's deadline; there is no
// work and, between records, no buffer while it waits.
//
// The owner (a session) keeps the stream beneath, which nobody else reads or writes meanwhile, until this one is gone.
// The end of the peer's side: 0 from read_some after its close_notify, Disconnected ("lost connection") without one.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/event/byte_stream.h"
#include "lib/event/task.h"
#include "lib/tls/session_info.h"

#include <memory>
#include <string>
#include <string_view>

struct ssl_st;

namespace posthouse::tls {

class ServerContext;
class ClientContext;
struct ClientWish;

class TlsStream final : public ByteStream {
public:
    // Not yet a byte is sent. An Error when `under` has no socket, or memory is short.
    static Result<std::unique_ptr<TlsStream>> server(std::shared_ptr<const ServerContext> context, ByteStream& under);
    static Result<std::unique_ptr<TlsStream>> client(std::shared_ptr<const ClientContext> context, ByteStream& under,
                                                     const ClientWish& wish);
    ~TlsStream() override;

    // To be called once, before anything else. TimedOut; Disconnected when the peer is gone; Permanent with the
    // library's words as its text (a line for each) when the two do not come together. After an error the stream, and
    // the connection beneath, are of no use.
    Task<Result<void>> handshake(Deadline deadline);
    // After the handshake. Valid as long as the stream.
    const SessionInfo& info() const { return info_; }

    Task<Result<size_t>> read_some(char* into, size_t size, Deadline deadline) override;
    // A write that was cancelled or timed out leaves half a record behind it: nothing can be written any more.
    Task<Result<void>> write_all(std::string_view bytes, Deadline deadline) override;
    Task<Result<void>> wait_readable(Deadline deadline) override;
    int fd() const override;

    // Tells the peer that no more comes (close_notify), as far as that can be sent by then, and does not wait for its
    // answer. Nothing may be written afterwards.
    Task<void> end(Deadline deadline);

private:
    struct Impl;
    explicit TlsStream(std::unique_ptr<Impl> impl);
    Task<Result<void>> wait_for(int wish, Deadline deadline);
    Task<void> choose_certificate();
    Error failure(int why) const;

    std::unique_ptr<Impl> impl_;
    SessionInfo info_;
};

} // namespace posthouse::tls
