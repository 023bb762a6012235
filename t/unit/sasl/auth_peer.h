// An authentication service that is a script: a thread that listens on a UNIX socket and handles one connection after the
// other as the test says. Lines go out as they are; what the client said can be read back.
#pragma once

#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace posthouse::test {

class AuthPeer {
public:
    // One connection, within the thread.
    class Connection {
    public:
        Connection(int fd, AuthPeer& peer) : fd_(fd), peer_(peer) {}
        void send(std::string_view bytes) const
        {
            while (!bytes.empty()) {
                const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
                if (sent <= 0)
                    return;
                bytes.remove_prefix(static_cast<size_t>(sent));
            }
        }
        // The next line without its end; "" when the client has gone.
        std::string line()
        {
            while (input_.find('\n') == std::string::npos) {
                char buffer[4096];
                const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
                if (got <= 0)
                    return "";
                input_.append(buffer, static_cast<size_t>(got));
            }
            const size_t end = input_.find('\n');
            std::string text = input_.substr(0, end);
            input_.erase(0, end + 1);
            peer_.note(text);
            return text;
        }
        // What Dovecot says first, and what the client has to say to it.
        void greet(std::string_view mechanisms = "MECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\n")
        {
            send("VERSION\t1\t2\n");
            send(mechanisms);
            send("SPID\t17\nCUID\t1\nCOOKIE\t00112233445566778899aabbccddeeff\nDONE\n");
            line();
            line();
        }

    private:
        int fd_;
        AuthPeer& peer_;
        std::string input_;
    };
    using Handle = std::function<void(Connection&)>;

    // The connections in order; further ones are closed at once.
    explicit AuthPeer(std::vector<Handle> connections) : handles_(std::move(connections))
    {
        char folder[] = "/tmp/auth-peer-XXXXXX";
        if (!::mkdtemp(folder))
            throw std::runtime_error("mkdtemp");
        folder_ = folder;
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address = {};
        address.sun_family = AF_UNIX;
        path().copy(address.sun_path, sizeof address.sun_path - 1);
        if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::listen(listener_, 16) != 0)
            throw std::runtime_error("listen");
        thread_ = std::thread([this] { run(); });
    }
    ~AuthPeer()
    {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
        ::unlink(path().c_str());
        ::rmdir(folder_.c_str());
    }
    AuthPeer(const AuthPeer&) = delete;
    AuthPeer& operator=(const AuthPeer&) = delete;

    std::string path() const { return folder_ + "/auth"; }
    // All lines that clients have said so far.
    std::vector<std::string> said()
    {
        const std::lock_guard lock(mutex_);
        return said_;
    }
    size_t connections()
    {
        const std::lock_guard lock(mutex_);
        return connections_;
    }

private:
    void note(const std::string& line)
    {
        const std::lock_guard lock(mutex_);
        said_.push_back(line);
    }
    void run()
    {
        while (true) {
            const int fd = ::accept(listener_, nullptr, nullptr);
            if (fd < 0)
                return;
            size_t number;
            {
                const std::lock_guard lock(mutex_);
                number = connections_++;
            }
            if (number < handles_.size()) {
                Connection connection(fd, *this);
                handles_[number](connection);
            }
            ::close(fd);
        }
    }

    std::vector<Handle> handles_;
    std::string folder_;
    int listener_ = -1;
    std::mutex mutex_;
    std::vector<std::string> said_;
    size_t connections_ = 0;
    std::thread thread_; // last
};

} // namespace posthouse::test
