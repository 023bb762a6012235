// BIND for tests: see name_server.h.
#include "t/unit/net/name_server.h"

#include "lib/net/address.h"
#include "lib/net/socket.h"

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace posthouse::test {

namespace {
const net::IpAddress loopback = *net::IpAddress::parse("127.0.0.1");

int free_port()
{
    auto listener = net::listen_tcp(net::SocketAddress(loopback, 0), 1);
    return listener ? net::SocketAddress::local_of(listener->get()).port : 0;
}

const char* installed_server()
{
    for (const char* path : {"/usr/sbin/named", "/usr/bin/named", "/usr/local/sbin/named"})
        if (::access(path, X_OK) == 0)
            return path;
    return nullptr;
}
} // namespace

std::unique_ptr<NameServer> NameServer::start(const std::string& zone)
{
    const char* program = installed_server();
    if (!program)
        return nullptr;
    auto server = std::unique_ptr<NameServer>(new NameServer);
    char name[] = "/tmp/posthouse-named-XXXXXX";
    server->directory_ = ::mkdtemp(name);
    std::ofstream(server->directory_ + "/example.zone") << zone;
    std::ofstream(server->directory_ + "/broken.zone") << "this is no zone\n";
    std::ofstream(server->directory_ + "/reverse.zone")
        << "$TTL 60\n@ SOA ns.example.test. root.example.test. 1 60 60 60 60\n@ NS ns.example.test.\n"
           "1 PTR Host.example.test.\n";
    server->port_ = free_port();
    const std::string port = std::to_string(server->port_);
    std::ofstream(server->directory_ + "/named.conf")
        << "options { directory \"" << server->directory_ << "\"; listen-on port " << port
        << " { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; pid-file none; session-keyfile none;\n"
           "dnssec-validation no; };\ncontrols { };\n"
           "zone \"example.test\" { type master; file \"example.zone\"; };\n"
           "zone \"broken.test\" { type master; file \"broken.zone\"; };\n"
           "zone \"2.0.192.in-addr.arpa\" { type master; file \"reverse.zone\"; };\n";
    return server->launch(program) ? std::move(server) : nullptr;
}

bool NameServer::launch(const char* program)
{
    const std::string config = directory_ + "/named.conf";
    const std::string log = directory_ + "/log";
    child_ = ::fork();
    if (child_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int out = ::open(log.c_str(), O_WRONLY | O_CREAT, 0600);
        ::dup2(out, 2);
        ::execl(program, program, "-g", "-n", "1", "-c", config.c_str(), nullptr);
        ::_exit(127);
    }
    for (int i = 0; i < 200; ++i) { // ten seconds
        if (answers())
            return true;
        if (::waitpid(child_, nullptr, WNOHANG) == child_) {
            child_ = -1;
            return false;
        }
        ::usleep(50000);
    }
    return false;
}

// It listens after its zones are loaded.
bool NameServer::answers() const
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage storage;
    const socklen_t length = net::SocketAddress(loopback, static_cast<uint16_t>(port_)).to_sockaddr(storage);
    bool connected = ::connect(fd, reinterpret_cast<sockaddr*>(&storage), length) == 0;
    // While nobody listens, the kernel may give our end that very port, and connect us with ourselves.
    connected = connected && net::SocketAddress::local_of(fd).port != port_;
    ::close(fd);
    return connected;
}

std::string NameServer::address() const { return "127.0.0.1:" + std::to_string(port_); }

void NameServer::stop()
{
    if (child_ <= 0)
        return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = -1;
}

NameServer::~NameServer()
{
    stop();
    std::filesystem::remove_all(directory_);
}

} // namespace posthouse::test
