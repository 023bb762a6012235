// c-ares on the loop: see dns_client.h. c-ares opens and closes its sockets through the functions given
// here, so that a descriptor stays open until its Watch is gone, which happens at the loop's top level.
#include "lib/net/dns_client.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/random.h"
#include "lib/base/unique_fd.h"
#include "lib/event/task_group.h"

#define CARES_NO_DEPRECATED
#include <ares.h>

#include <cerrno>
#include <poll.h>
#include <set>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unordered_map>

namespace posthouse::net {

namespace {
// One of c-ares's sockets.
struct Connection {
    Connection(Loop& loop, UniqueFd its_fd) : fd(std::move(its_fd)), watch(loop, fd.get()), pumps(loop) {}
    UniqueFd fd;
    Watch watch;
    bool closed = false; // c-ares is done with it
    TaskGroup pumps;     // last: its tasks wait on the watch
};

struct Question {
    DnsClient::Impl* client;
    std::string name;
    DnsType type;
    uint16_t id;
    bool edns;
    std::function<void(Result<std::string>)> done;
};
} // namespace

struct DnsClient::Impl {
    explicit Impl(Loop& its_loop) : loop(its_loop), retry(its_loop, [this] { process(ARES_SOCKET_BAD); }) {}
    ~Impl()
    {
        ending = true;
        if (channel)
            ares_destroy(channel);
    }

    Loop& loop;
    ares_channel channel = nullptr;
    bool ending = false;
    bool edns = true; // until a server turns out not to know it
    Timer retry;
    std::set<uint16_t> ids; // of questions under way
    std::unordered_map<int, std::unique_ptr<Connection>> connections;
    std::shared_ptr<bool> alive = std::make_shared<bool>(true); // owners: this and functions posted to the loop

    void process(int fd)
    {
        ares_process_fd(channel, fd, fd);
        arm();
    }
    void arm()
    {
        timeval left;
        if (!ares_timeout(channel, nullptr, &left)) {
            retry.cancel();
            return;
        }
        retry.set(loop.now() + Duration::seconds(left.tv_sec) + Duration::microseconds(left.tv_usec));
    }
    void send(std::unique_ptr<Question> question);
    uint16_t fresh_id()
    {
        while (true) {
            const auto id = static_cast<uint16_t>(random_below(65536));
            if (ids.insert(id).second)
                return id;
        }
    }
};

namespace {

DnsClient::Impl& impl_of(void* user) { return *static_cast<DnsClient::Impl*>(user); }

// Hands each edge to c-ares. It reads a TCP socket once only, so the rest is seen by poll.
Task<void> pump(DnsClient::Impl& impl, Connection& connection, Watch::Direction direction)
{
    constexpr int most_rounds = 100;
    while (!connection.closed) {
        if (direction == Watch::Direction::Read)
            co_await connection.watch.readable(Deadline::never());
        else
            co_await connection.watch.writable(Deadline::never());
        pollfd more = {connection.fd.get(), POLLIN, 0};
        int rounds = 0;
        do {
            impl.process(connection.fd.get());
        } while (!connection.closed && ++rounds < most_rounds && ::poll(&more, 1, 0) > 0);
    }
}

ares_socket_t open_socket(int family, int type, int protocol, void* user)
{
    UniqueFd fd(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
    if (!fd)
        return ARES_SOCKET_BAD;
    DnsClient::Impl& impl = impl_of(user);
    const int number = fd.get();
    auto connection = std::make_unique<Connection>(impl.loop, std::move(fd));
    connection->pumps.spawn(pump(impl, *connection, Watch::Direction::Read));
    if (type == SOCK_STREAM)
        connection->pumps.spawn(pump(impl, *connection, Watch::Direction::Write));
    impl.connections[number] = std::move(connection);
    return number;
}

int close_socket(ares_socket_t fd, void* user)
{
    DnsClient::Impl& impl = impl_of(user);
    const auto found = impl.connections.find(fd);
    if (found == impl.connections.end() || found->second->closed)
        return 0;
    found->second->closed = true;
    if (!impl.ending) // else all of them go with the map
        impl.loop.post([&impl, fd, alive = impl.alive] {
            if (*alive)
                impl.connections.erase(fd);
        });
    return 0;
}

int connect_socket(ares_socket_t fd, const sockaddr* address, ares_socklen_t length, void*)
{
    return ::connect(fd, address, length);
}

ares_ssize_t receive(ares_socket_t fd, void* into, size_t size, int flags, sockaddr* from, ares_socklen_t* length, void*)
{
    return ::recvfrom(fd, into, size, flags, from, length);
}

ares_ssize_t send_vector(ares_socket_t fd, const iovec* parts, int count, void*)
{
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts);
    message.msg_iovlen = static_cast<size_t>(count);
    return ::sendmsg(fd, &message, MSG_NOSIGNAL);
}

constexpr ares_socket_functions socket_functions = {open_socket, close_socket, connect_socket, receive, send_vector};

constexpr unsigned rcode_format_error = 1;

void on_answer(void* argument, int status, int, unsigned char* bytes, int length)
{
    std::unique_ptr<Question> question(static_cast<Question*>(argument));
    DnsClient::Impl& impl = *question->client;
    if (impl.ending)
        return;
    impl.ids.erase(question->id);
    if (status != ARES_SUCCESS || !bytes || length < 12) {
        question->done(Error(ErrorKind::Temporary, ares_strerror(status)));
        return;
    }
    if (question->edns && (bytes[3] & 15) == rcode_format_error) { // an old server: once more without EDNS
        impl.edns = false;
        impl.send(std::move(question));
        return;
    }
    question->done(std::string(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length)));
}

constexpr int edns_size = 1232; // no fragments: the size that DNS flag day 2020 settled on

} // namespace

void DnsClient::Impl::send(std::unique_ptr<Question> question)
{
    question->id = fresh_id();
    question->edns = edns;
    unsigned char* packet = nullptr;
    int length = 0;
    const int code = ares_create_query(question->name.c_str(), 1 /* IN */, static_cast<int>(question->type),
                                       question->id, 1, &packet, &length, edns ? edns_size : 0);
    if (code != ARES_SUCCESS) {
        ids.erase(question->id);
        question->done(Error(ErrorKind::Permanent, ares_strerror(code)));
        return;
    }
    packet[3] |= 0x20; // AD
    ares_send(channel, packet, length, on_answer, question.release());
    ares_free_string(packet);
    arm();
}

DnsClient::DnsClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

DnsClient::~DnsClient() { *impl_->alive = false; }

Result<std::unique_ptr<DnsClient>> DnsClient::create(Loop& loop, const ResolverOptions& options)
{
    static const int library = ares_library_init(ARES_LIB_INIT_ALL);
    if (library != ARES_SUCCESS)
        return Error(ErrorKind::Temporary, cat("c-ares: ", ares_strerror(library)));
    auto impl = std::make_unique<Impl>(loop);
    ares_options settings{};
    settings.flags = ARES_FLAG_EDNS;
    settings.ednspsz = edns_size;
    settings.timeout = static_cast<int>(options.query_timeout.ms());
    settings.tries = options.tries;
    int code = ares_init_options(&impl->channel, &settings,
                                 ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
    if (code != ARES_SUCCESS)
        return Error(ErrorKind::Config, cat("name service: ", ares_strerror(code)));
    if (!options.servers.empty()) {
        std::string list;
        for (const std::string_view server : ascii::split(options.servers, ", \t\r\n"))
            append_to(list, list.empty() ? "" : ",", server);
        code = ares_set_servers_ports_csv(impl->channel, list.c_str());
        if (code != ARES_SUCCESS)
            return Error(ErrorKind::Config, cat("bad list of name servers: ", options.servers));
    }
    ares_set_socket_functions(impl->channel, &socket_functions, impl.get());
    return std::unique_ptr<DnsClient>(new DnsClient(std::move(impl)));
}

void DnsClient::ask(const std::string& name, DnsType type, std::function<void(Result<std::string>)> done)
{
    auto question = std::make_unique<Question>();
    question->client = impl_.get();
    question->name = name;
    question->type = type;
    question->done = std::move(done);
    impl_->send(std::move(question));
}

} // namespace posthouse::net
