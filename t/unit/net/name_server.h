// A real name server (BIND) for a test: on a free loopback port, with the test's zones, ended with the
// object.
#pragma once

#include <memory>
#include <string>
#include <sys/types.h>

namespace posthouse::test {

class NameServer {
public:
    // Null when no server is installed. `zone` is the content of the zone file of "example.test";
    // "broken.test" exists and cannot be loaded; 192.0.2.0/24 has reverse names.
    static std::unique_ptr<NameServer> start(const std::string& zone);
    ~NameServer();
    NameServer(const NameServer&) = delete;
    NameServer& operator=(const NameServer&) = delete;
    std::string address() const; // "127.0.0.1:port"
    void stop();

private:
    NameServer() = default;
    bool launch(const char* program);
    bool answers() const;
    std::string directory_;
    int port_ = 0;
    pid_t child_ = -1;
};

} // namespace posthouse::test
