// See line.h.
#include "t/bench/line.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace posthouse::bench {

sockaddr_in loopback(uint16_t port)
{
    sockaddr_in address = sockaddr_in();
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

Task<std::unique_ptr<Line>> connect(Loop& loop, uint16_t port)
{
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    const int raw = fd.get();
    auto line = std::make_unique<Line>(loop, std::move(fd));
    if (::connect(raw, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        if (errno != EINPROGRESS)
            co_return nullptr;
        const auto ready = co_await line->socket().watch()->writable(Deadline::after(patience));
        if (ready == Watch::Ready::TimedOut)
            co_return nullptr;
    }
    co_return line;
}

UniqueFd listen_on(uint16_t port)
{
    UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const int on = 1;
    ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in address = loopback(port);
    if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0
        || ::listen(listener.get(), 1024) != 0) {
        perror("mailbench");
        listener.reset();
    }
    return listener;
}

Task<bool> Line::start_tls(std::shared_ptr<const tls::ClientContext> context)
{
    tls::ClientWish wish;
    wish.level = tls::ClientLevel::Encrypt;
    auto stream = tls::TlsStream::client(std::move(context), socket_, wish);
    if (!stream)
        co_return false;
    tls_ = std::move(*stream);
    stream_ = tls_.get();
    const Deadline deadline = Deadline::after(patience);
    auto done = co_await tls_->handshake(deadline);
    co_return static_cast<bool>(done);
}

Task<std::optional<std::string>> Line::bytes(size_t size)
{
    while (buffer_.size() - start_ < size) {
        const bool got = co_await more();
        if (!got)
            co_return std::nullopt;
    }
    std::string piece = buffer_.substr(start_, size);
    start_ += size;
    scanned_ = start_;
    co_return piece;
}

Task<bool> Line::write(std::string text)
{
    auto written = co_await stream_->write_all(text, Deadline::after(patience));
    co_return static_cast<bool>(written);
}

Task<std::optional<std::string>> Line::read()
{
    while (true) {
        const size_t end = buffer_.find('\n', scanned_);
        if (end != std::string::npos) {
            std::string line = buffer_.substr(start_, end - start_);
            start_ = scanned_ = end + 1;
            co_return line;
        }
        const bool got = co_await more();
        if (!got)
            co_return std::nullopt;
    }
}

Task<int> Line::reply()
{
    while (true) {
        auto line = co_await read();
        if (!line || line->size() < 3)
            co_return 0;
        if (line->size() == 3 || (*line)[3] != '-')
            co_return atoi(line->c_str());
    }
}

Task<int> Line::ask(std::string text)
{
    const bool sent = co_await write(std::move(text));
    if (!sent)
        co_return 0;
    co_return co_await reply();
}

Task<long> Line::content()
{
    long size = 0;
    std::string tail = "\r\n"; // the last bytes seen, so that a lone dot at the start counts
    while (true) {
        std::string piece = buffer_.substr(start_);
        start_ = buffer_.size();
        tail += piece;
        const size_t end = tail.find("\r\n.\r\n");
        if (end != std::string::npos) {
            buffer_ = tail.substr(end + 5);
            start_ = scanned_ = 0;
            co_return size + static_cast<long>(end);
        }
        const size_t keep = std::min<size_t>(tail.size(), 4);
        size += static_cast<long>(tail.size() - keep);
        tail.erase(0, tail.size() - keep);
        const bool got = co_await more();
        if (!got)
            co_return -1;
    }
}

Task<bool> Line::more()
{
    buffer_.erase(0, start_);
    scanned_ = buffer_.size();
    start_ = 0;
    const size_t before = buffer_.size();
    buffer_.resize(before + 65536);
    auto got = co_await stream_->read_some(buffer_.data() + before, 65536, Deadline::after(patience));
    buffer_.resize(before + (got ? *got : 0));
    co_return got && *got > 0;
}

} // namespace posthouse::bench
