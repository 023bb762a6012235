// ByteStream: a two-way connection as the code above sees it, plain (Socket) or TLS. At most one
// reader and one writer wait at a time.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/base/unique_fd.h"
#include "lib/event/loop.h"
#include "lib/event/task.h"

#include <cstddef>
#include <string_view>

namespace posthouse {

class ByteStream {
public:
    virtual ~ByteStream() = default;

    // Between 1 and `size` bytes; 0 means the peer has ended its side. TimedOut or Disconnected else.
    // `into` is written only in the very step that ends the task, so waiting readers may share one buffer.
    virtual Task<Result<size_t>> read_some(char* into, size_t size, Deadline deadline) = 0;

    // All of it or an error. `bytes` must stay valid until the task ends.
    virtual Task<Result<void>> write_all(std::string_view bytes, Deadline deadline) = 0;

    // Suspends until there may be something to read, without holding a buffer. An idle session waits here.
    virtual Task<Result<void>> wait_readable(Deadline deadline) = 0;

    virtual int fd() const = 0; // for getpeername and the like; still owned by the stream
    // Of fd(), for a stream that is put on top of this one (TLS). Null: there is no socket beneath.
    virtual Watch* watch() { return nullptr; }
};

// A connected non-blocking stream socket (TCP or UNIX). Owns the descriptor.
class Socket final : public ByteStream {
public:
    Socket(Loop& loop, UniqueFd fd); // sets O_NONBLOCK
    Task<Result<size_t>> read_some(char* into, size_t size, Deadline deadline) override;
    Task<Result<void>> write_all(std::string_view bytes, Deadline deadline) override;
    Task<Result<void>> wait_readable(Deadline deadline) override;
    int fd() const override { return fd_.get(); }
    Watch* watch() override { return &watch_; }

private:
    UniqueFd fd_;
    Watch watch_; // after fd_: it must go first
};

} // namespace posthouse
