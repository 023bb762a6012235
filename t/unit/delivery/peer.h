// Scripted mail hosts over loopback for the client's tests, a name service of the test's own, and a delivery
// request with its message file.
#pragma once

#include "lib/event/byte_stream.h"
#include "lib/event/task_group.h"
#include "lib/log/log.h"
#include "lib/net/socket.h"
#include "smtp/delivery.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace posthouse::test {

// Lines of a script:
//   S: text     is sent                    C: text   must be the begin of the line that the client sends
//   D           reads content to its dot   A: text   must be the begin of the line, and is the last one needed
//   HANG        does nothing any more      CLOSE     closes (the end of the script does so, too)
//   SLOWLY      reads for ever, a little at a time          WAIT      lets 300 ms pass
class Peer {
public:
    // Takes connections at `address`:`port` (0: a free one) or at a path, one script for each, in order.
    Peer(Loop& loop, std::vector<std::string> scripts, const std::string& address = "127.0.0.1", uint16_t port = 0);
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    uint16_t port() const { return port_; }

    size_t connections = 0;
    std::vector<std::string> lines;    // all that clients have sent, in order
    std::vector<std::string> contents; // of the messages
    std::string problem;               // the first line that was not as scripted

private:
    Task<void> accept_all();
    Task<void> converse(UniqueFd connection, std::string script);

    Loop& loop_;
    std::vector<std::string> scripts_;
    UniqueFd listener_;
    uint16_t port_ = 0;
    Watch watch_;
    TaskGroup tasks_;
};

class FakeNames final : public smtp_client::NameService {
public:
    Task<net::MxAnswer> mx(std::string domain, Deadline) override;
    Task<net::AddressAnswer> addresses(std::string host, Deadline) override;

    void add_mx(const std::string& domain, uint16_t preference, const std::string& host);
    void add_address(const std::string& host, const std::string& address);
    void fail_mx(const std::string& domain, net::Answer::State state);
    void fail_address(const std::string& host, net::Answer::State state);

private:
    std::map<std::string, net::MxAnswer> mx_;
    std::map<std::string, net::AddressAnswer> addresses_;
};

// A loop, settings, names and a cache, and what a delivery with them brings.
class Client {
public:
    Client();

    // Content must end its lines with CRLF.
    queue::DeliveryRequest request(std::string nexthop, std::vector<std::string> recipients,
                                   std::string_view content = "Subject: x\r\n\r\nhello\r\n");
    // Runs it to its end; outcomes by recipient, those reported early included.
    queue::DeliveryDone deliver(queue::DeliveryRequest request);
    queue::DeliveryDone deliver(const std::string& nexthop, std::vector<std::string> recipients);

    Loop loop;
    ThreadPool pool;
    smtp_client::Settings settings;
    FakeNames names;
    std::unique_ptr<smtp_client::SessionCache> cache;
    size_t reported_early = 0;
};

std::string bracketed(const Peer& peer); // "[127.0.0.1]:port"

} // namespace posthouse::test
